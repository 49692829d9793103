-- timeseries: events per bucket of time and type; buckets without events are left out.
-- parameters: tenant, from, to, interval, tz, bots, endpoint, type, product, source
WITH counted AS (
    -- Every zone's hours begin at a quarter of an hour: few rows are left to find the bucket of.
    SELECT epoch_us(occurred_at) // 900000000 AS quarter, type, count(*) AS events
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
    GROUP BY quarter, type
),
placed AS (
    SELECT make_timestamptz(quarter * 900000000) AS began_at, type, events FROM counted
)
SELECT
    -- date_trunc would make one of the two hours that share a name when clocks go back.
    CASE WHEN $interval = 'hour' THEN began_at - to_minutes(minute(began_at))
         ELSE date_trunc($interval, began_at) END AS bucket,
    type,
    sum(events)::BIGINT AS events
FROM placed
GROUP BY ALL
ORDER BY bucket, type
