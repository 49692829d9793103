-- visitors: visitors and events per bucket of time; buckets without events are left out. A visitor
-- id lasts a UTC day, so a longer bucket counts a visitor once for each day.
-- parameters: tenant, from, to, interval, tz, bots, endpoint, type, product, source
WITH chosen AS (
    SELECT
        CASE WHEN $interval = 'hour'
             THEN occurred_at - to_minutes(minute(occurred_at))
                              - to_microseconds(microsecond(occurred_at))
             ELSE date_trunc($interval, occurred_at) END AS bucket,
        visitor_id
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
)
SELECT
    bucket,
    count(DISTINCT hash(visitor_id)) FILTER (visitor_id IS NOT NULL) AS visitors,
    count(*) AS events
FROM chosen
GROUP BY bucket
ORDER BY bucket
