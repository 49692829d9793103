-- heard: the time of each shop's last event of the period, and on how many of the 7 UTC days up to it
-- the shop had events. A shop without an event in the period is left out.
-- parameters: tenant, from, to, bots, filters
WITH counted AS (
    SELECT tenant_id, floor(minute_of(occurred_at) / 86400000000) AS day,
           max(occurred_at) AS heard_at
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY ALL
),
latest AS (
    SELECT tenant_id, max(day) AS last_day, max(heard_at) AS last_at
    FROM counted
    GROUP BY tenant_id
)
SELECT
    latest.tenant_id AS tenant_id,
    tenants.slug AS tenant,
    last_at AS heard_at,
    active_days
FROM (
    SELECT tenant_id, count(*) AS active_days
    FROM counted JOIN latest USING (tenant_id)
    WHERE last_day - day < 7
    GROUP BY tenant_id
)
JOIN latest USING (tenant_id)
LEFT JOIN tenants ON tenants.id = latest.tenant_id
ORDER BY heard_at DESC, tenant_id
