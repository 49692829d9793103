-- pages: the pages of the shop, by path (of old events, metadata.path): visitors, views, and visits
-- that entered on it, left from it, or bounced: a visit of one event, a view. Entry and exit are the
-- first and last page of all events of the visit, whatever the filters; they are counted among the
-- visits with an event that the filters choose. Transactions are sales sent to the conversion
-- endpoint from the page; events without a path are left out.
-- parameters: tenant, from, to, bots, limit, filters
WITH visited AS (
    SELECT key AS page, *
    FROM slots_by(path_of(path, metadata, channel_rules), {filters}, $tenant, $from, $to, $bots)
),
walked AS (
    SELECT visit,
           arg_min(page, first_place) FILTER (page IS NOT NULL) AS entry,
           arg_max(page, last_place) FILTER (page IS NOT NULL) AS exit,
           is_bounce(sum(events), sum(views)) AS bounced
    FROM visited
    WHERE visit IS NOT NULL
    GROUP BY visit
),
shown AS (
    SELECT page, visitor, visit, sum(chosen) AS events, sum(chosen_views) AS views,
           sum(chosen_sales) AS transactions
    FROM visited
    WHERE chosen > 0 AND page IS NOT NULL
    GROUP BY page, visitor, visit
)
SELECT
    page AS path,
    count(DISTINCT visitor) AS visitors,
    count(visit) AS visits,
    sum(views)::BIGINT AS views,
    count(*) FILTER (page = entry) AS entries,
    count(*) FILTER (page = exit) AS exits,
    count(*) FILTER (page = entry AND bounced) AS bounces,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM shown LEFT JOIN walked USING (visit)
GROUP BY page
ORDER BY visitors DESC, views DESC, events DESC, page
LIMIT $limit
