-- visitors: visitors and events per bucket of time; buckets without events are left out. Buckets
-- are divided in `tz`, but a visitor id lasts one day of the shop's calendar: a visitor who is
-- present before and after the shop's midnight counts as two, also within a bucket. A visitor who
-- is present in several buckets counts in each, so the sum of the buckets can exceed the visitors
-- of the period.
-- parameters: tenant, from, to, interval, tz, bots, filters
WITH chosen AS (
    SELECT minute_of(occurred_at) AS minute, visitor_of(visitor_id) AS visitor
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
),
placed AS (
    SELECT minute, bucket_of(minute, $interval, offset_us, fresh_us, bucket_us) AS bucket
    FROM (SELECT DISTINCT minute FROM chosen) ASOF JOIN clock ON minute >= began_us
),
counted AS (
    SELECT bucket, visitor, count(*) AS events
    FROM chosen JOIN placed USING (minute)
    GROUP BY bucket, visitor
)
SELECT
    bucket,
    count(visitor) AS visitors,
    sum(events)::BIGINT AS events
FROM counted
GROUP BY bucket
ORDER BY bucket
