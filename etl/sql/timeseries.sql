-- timeseries: events per bucket of time and type; buckets without events are left out.
-- parameters: tenant, from, to, interval, tz, bots
SELECT
    -- date_trunc would make one of the two hours that share a name when clocks go back.
    CASE WHEN $interval = 'hour'
         THEN occurred_at - to_minutes(minute(occurred_at))
                          - to_microseconds(microsecond(occurred_at))
         ELSE date_trunc($interval, occurred_at) END AS bucket,
    type,
    count(*) AS events
FROM selected($tenant, $from, $to, $bots)
GROUP BY ALL
ORDER BY bucket, type
