-- visits: visits, visitors, bounces, pages per visit and duration. A visit is all events of a
-- visitor, in the period, with less than 30 minutes between one and the next; a visitor id lasts one
-- day of the shop's calendar. A bounce is a visit of one event, a view. Pages per visit are the views;
-- a visit lasts from its first to its last event, so a visit of one event lasts 0 s. With filters,
-- only visits with an event that the filters choose count, each measured over all of its events.
-- parameters: tenant, from, to, bots, filters
WITH visited AS (
    SELECT visitor, visit, sum(events) AS events, sum(views) AS views,
           (max(last_us) - min(first_us))::BIGINT AS duration_us
    FROM slots_by(true, {filters}, $tenant, $from, $to, $bots)
    WHERE visitor IS NOT NULL
    GROUP BY visitor, visit
    HAVING sum(chosen) > 0
),
counted AS (
    SELECT count(*) AS visits,
           count(DISTINCT visitor) AS visitors,
           count(*) FILTER (is_bounce(events, views)) AS bounces,
           coalesce(sum(views), 0)::BIGINT AS views,
           sum(duration_us)::BIGINT AS duration_us,
           median(duration_us) AS median_us
    FROM visited
)
SELECT
    visits,
    visitors,
    bounces,
    round(bounces / nullif(visits, 0), 4) AS bounce_rate,
    views,
    round(views / nullif(visits, 0), 4) AS pages_per_visit,
    round(median_us / 1000000, 4) AS duration_s_median,
    round(duration_us / nullif(visits, 0) / 1000000, 4) AS duration_s_mean
FROM counted
