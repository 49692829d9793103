-- activity: events per shop and bucket of time, of all shops or of some; the dashboard draws a line
-- per shop.
-- parameters: tenant, from, to, interval, tz, bots, filters, shops
WITH counted AS (
    SELECT tenant_id, minute_of(occurred_at) AS minute, count(*) AS events
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
      AND ($shops IS NULL OR tenant_id IN (SELECT unnest($shops::BIGINT[])))
    GROUP BY tenant_id, minute
)
SELECT
    tenant_id,
    bucket_of(minute, $interval, offset_us, fresh_us, bucket_us) AS bucket,
    sum(events)::BIGINT AS events
FROM counted ASOF JOIN clock ON minute >= began_us
GROUP BY ALL
ORDER BY tenant_id, bucket
