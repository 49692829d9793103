-- activity: events per shop and bucket of time, of all shops or of some, for a line beside each name.
-- parameters: tenant, from, to, interval, tz, bots, endpoint, type, product, source, shops
WITH counted AS (
    -- Every zone's hours begin at a quarter of an hour: few rows are left to find the bucket of.
    SELECT tenant_id, epoch_us(occurred_at) // 900000000 AS quarter, count(*) AS events
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
    WHERE $shops IS NULL OR tenant_id IN (SELECT unnest($shops::BIGINT[]))
    GROUP BY tenant_id, quarter
),
placed AS (
    SELECT tenant_id, make_timestamptz(quarter * 900000000) AS began_at, events FROM counted
)
SELECT
    tenant_id,
    CASE WHEN $interval = 'hour' THEN began_at - to_minutes(minute(began_at))
         ELSE date_trunc($interval, began_at) END AS bucket,
    sum(events)::BIGINT AS events
FROM placed
GROUP BY ALL
ORDER BY tenant_id, bucket
