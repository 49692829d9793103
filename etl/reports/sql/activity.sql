-- activity: events per shop and bucket of time, of all shops or of some; the dashboard draws a line
-- per shop.
-- parameters: tenant, from, to, interval, tz, bots, filters, shops
WITH chosen AS (
    SELECT tenant_id, minute_of(occurred_at) AS minute
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
      AND ($shops IS NULL OR tenant_id IN (SELECT unnest($shops::BIGINT[])))
),
placed AS (
    SELECT minute, bucket_of(minute, $interval, offset_us, fresh_us, bucket_us) AS bucket
    FROM (SELECT DISTINCT minute FROM chosen) ASOF JOIN clock ON minute >= began_us
)
SELECT tenant_id, bucket, count(*) AS events
FROM chosen JOIN placed USING (minute)
GROUP BY tenant_id, bucket
ORDER BY tenant_id, bucket
