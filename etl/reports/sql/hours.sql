-- hours: events and visitors per weekday (1 Monday to 7 Sunday) and hour of the day (0 to 23), by
-- the clocks of `tz`. Hours without events are left out. A visitor counts once per day and hour.
-- parameters: tenant, from, to, tz, bots, filters
WITH counted AS (
    SELECT minute_of(occurred_at) AS minute, visitor_of(visitor_id) AS visitor, count(*) AS events
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY minute, visitor
),
placed AS (
    SELECT (minute + offset_us) // 3600000000 AS shown, visitor, events
    FROM counted ASOF JOIN clock ON minute >= began_us
)
SELECT
    (shown // 24 + 3) % 7 + 1 AS weekday,
    shown % 24 AS hour,
    sum(events)::BIGINT AS events,
    count(DISTINCT visitor) AS visitors
FROM placed
GROUP BY weekday, hour
ORDER BY weekday, hour
