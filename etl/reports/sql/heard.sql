-- heard: the time of each shop's last event of the period, and on how many of the 7 days of 24 hours
-- up to it the shop had events. A shop without an event in the period is left out.
-- parameters: tenant, from, to, bots, filters
WITH counted AS (
    SELECT tenant_id, minute_of(occurred_at) AS minute, max(occurred_at) AS heard_at
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY ALL
),
latest AS (
    SELECT tenant_id, max(minute) AS last_minute, max(heard_at) AS heard_at
    FROM counted
    GROUP BY tenant_id
),
aged AS (
    SELECT tenant_id, heard_at, floor((last_minute - minute) / 86400000000) AS days_before
    FROM (SELECT tenant_id, minute FROM counted) JOIN latest USING (tenant_id)
)
SELECT
    tenant_id,
    tenants.slug AS tenant,
    max(heard_at) AS heard_at,
    count(DISTINCT CASE WHEN days_before < 7 THEN days_before END) AS active_days
FROM aged
LEFT JOIN tenants ON tenants.id = tenant_id
GROUP BY tenant_id, tenants.slug
ORDER BY heard_at DESC, tenant_id
