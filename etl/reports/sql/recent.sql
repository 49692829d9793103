-- recent: the latest events by receipt, newest first.
-- parameters: tenant, from, to, tz, bots, limit, filters
WITH newest AS (
    SELECT received_at, series, seq
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    ORDER BY received_at DESC, series, seq DESC
    LIMIT $limit
)
SELECT
    received_at,
    occurred_at,
    tenant_id,
    tenants.slug AS tenant,
    type,
    product_id,
    transaction_id,
    value,
    currency,
    visitor_id,
    event_id,
    metadata
FROM selected($tenant, $from, $to, $bots)
SEMI JOIN newest USING (received_at, series, seq)
LEFT JOIN (SELECT id, slug FROM tenants) AS tenants ON tenants.id = tenant_id
ORDER BY received_at DESC, series, seq DESC
LIMIT $limit
