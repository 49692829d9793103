-- summary: events, visitors, events per type and transactions, per tenant; with `from` also those
-- of the previous period, and the change. The previous period has the same length. While a period
-- is not over, only the part that has passed is compared, by the clocks of `tz`: the parameters
-- `compared_from` and `compared_to` of the result name the span. A day that the calendar of `tz`
-- skips is not counted. A shop that had events in the previous period and has none now is listed
-- with zeros. Transactions are sales sent to the conversion endpoint. A visitor id lasts one UTC
-- day: a visitor counts once per UTC day of the period. Visitors are counted by hashes of their
-- ids, which are 64-bit hashes themselves.
-- parameters: tenant, from, to, bots, endpoint, type, product, source
WITH counted AS (
    SELECT tenant_id, type, count(*) AS events,
           count(*) FILTER (is_sale(endpoint, type)) AS sales
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
    GROUP BY tenant_id, type
),
seen AS (
    SELECT DISTINCT tenant_id, hash(visitor_id) AS visitor
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
    WHERE visitor_id IS NOT NULL
),
visiting AS (
    SELECT tenant_id, count(*) AS visitors FROM seen GROUP BY tenant_id
),
before AS (
    SELECT
        tenant_id,
        count(*) AS events_before,
        count(DISTINCT hash(visitor_id)) FILTER (visitor_id IS NOT NULL) AS visitors_before,
        count(*) FILTER (is_sale(endpoint, type)) AS transactions_before,
        count(*) FILTER (
            type IN ('whatsapp_click', 'call', 'call_click', 'maps_click', 'location_view')
        ) AS contacts_before
    FROM selected($tenant, $compared_from, $compared_to, $bots, $endpoint, $type, $product, $source)
    WHERE $compared_from IS NOT NULL
    GROUP BY tenant_id
),
shops AS (
    SELECT tenant_id FROM counted UNION SELECT tenant_id FROM before
),
now AS (
    SELECT
        tenant_id,
        any_value(tenants.slug) AS tenant,
        coalesce(sum(events), 0)::BIGINT AS events,
        coalesce(any_value(visitors), 0) AS visitors,
        coalesce(sum(events) FILTER (type = 'view'), 0)::BIGINT AS view,
        coalesce(sum(events) FILTER (type = 'whatsapp_click'), 0)::BIGINT AS whatsapp_click,
        coalesce(sum(events) FILTER (type = 'call'), 0)::BIGINT AS call,
        coalesce(sum(events) FILTER (type = 'call_click'), 0)::BIGINT AS call_click,
        coalesce(sum(events) FILTER (type = 'maps_click'), 0)::BIGINT AS maps_click,
        coalesce(sum(events) FILTER (type = 'location_view'), 0)::BIGINT AS location_view,
        coalesce(sum(events) FILTER (type = 'cart_add'), 0)::BIGINT AS cart_add,
        coalesce(sum(events) FILTER (type = 'social_share'), 0)::BIGINT AS social_share,
        coalesce(sum(events) FILTER (type = 'conversion'), 0)::BIGINT AS conversion,
        coalesce(sum(events) FILTER (type = 'purchase'), 0)::BIGINT AS purchase,
        coalesce(sum(sales), 0)::BIGINT AS transactions
    FROM shops
    LEFT JOIN counted USING (tenant_id)
    LEFT JOIN visiting USING (tenant_id)
    LEFT JOIN tenants ON tenants.id = tenant_id
    GROUP BY tenant_id
)
SELECT
    now.*,
    CASE WHEN $compared_from IS NOT NULL THEN coalesce(events_before, 0) END AS events_before,
    CASE WHEN $compared_from IS NOT NULL THEN coalesce(visitors_before, 0) END AS visitors_before,
    CASE WHEN $compared_from IS NOT NULL THEN coalesce(transactions_before, 0) END AS transactions_before,
    CASE WHEN $compared_from IS NOT NULL THEN coalesce(contacts_before, 0) END AS contacts_before,
    round(events / nullif(events_before, 0) - 1, 4) AS events_change,
    round(visitors / nullif(visitors_before, 0) - 1, 4) AS visitors_change,
    round(transactions / nullif(transactions_before, 0) - 1, 4) AS transactions_change,
    round(
        (whatsapp_click + call + call_click + maps_click + location_view)
        / nullif(contacts_before, 0) - 1, 4) AS contacts_change
FROM now
LEFT JOIN before USING (tenant_id)
ORDER BY events DESC, tenant_id
