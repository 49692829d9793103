-- timeseries: events per bucket of time and type; buckets without events are left out.
-- parameters: tenant, from, to, interval, tz, bots, filters
WITH counted AS (
    SELECT minute_of(occurred_at) AS minute, type, count(*) AS events
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY minute, type
)
SELECT
    bucket_of(minute, $interval, offset_us, fresh_us, bucket_us) AS bucket,
    type,
    sum(events)::BIGINT AS events
FROM counted ASOF JOIN clock ON minute >= began_us
GROUP BY ALL
ORDER BY bucket, type
