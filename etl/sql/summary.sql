-- summary: events, visitors, one count per type and transactions, per tenant.
-- parameters: tenant, from, to, bots
SELECT
    tenant_id,
    any_value(tenants.slug) AS tenant,
    count(*) AS events,
    count(DISTINCT visitor_id) AS visitors,
    count(*) FILTER (type = 'view') AS view,
    count(*) FILTER (type = 'whatsapp_click') AS whatsapp_click,
    count(*) FILTER (type = 'call') AS call,
    count(*) FILTER (type = 'call_click') AS call_click,
    count(*) FILTER (type = 'maps_click') AS maps_click,
    count(*) FILTER (type = 'location_view') AS location_view,
    count(*) FILTER (type = 'cart_add') AS cart_add,
    count(*) FILTER (type = 'social_share') AS social_share,
    count(*) FILTER (type = 'conversion') AS conversion,
    count(*) FILTER (type = 'purchase') AS purchase,
    count(*) FILTER (endpoint = 'conversion' AND type IN ('purchase', 'conversion'))
        AS transactions
FROM selected($tenant, $from, $to, $bots)
LEFT JOIN tenants ON tenants.id = tenant_id
GROUP BY tenant_id
ORDER BY events DESC, tenant_id
