-- summary: events, visitors, events per type and transactions, per tenant; with `from` also those
-- of the previous period, and the change. The previous period has the same length. While a period
-- is not over, only the part that has passed is compared, by the clocks of `tz`: the parameters
-- `compared_from` and `compared_to` of the result name the span. A day that the calendar of `tz`
-- skips is not counted. A shop that had events in the previous period and has none now is listed
-- with zeros. Transactions are sales sent to the conversion endpoint. A visitor id lasts one UTC
-- day: a visitor counts once per UTC day of the period. Visitors are counted by hashes of their
-- ids, which are 64-bit hashes themselves.
-- parameters: tenant, from, to, bots, endpoint, type, product, source
WITH chosen AS (
    SELECT tenant_id, type, visitor_id, is_sale(endpoint, type) AS is_sale,
           type IN ('whatsapp_click', 'call', 'call_click', 'maps_click', 'location_view')
               AS is_contact,
           $compared_from IS NULL OR occurred_at >= $from AS is_now
    FROM selected($tenant, coalesce($compared_from::TIMESTAMPTZ, $from::TIMESTAMPTZ), $to,
                  $bots, $endpoint, $type, $product, $source)
    WHERE $compared_from IS NULL OR occurred_at >= $from OR occurred_at < $compared_to
),
-- One pass over the rows, for both periods.
counted AS (
    SELECT
        tenant_id,
        count(*) FILTER (is_now) AS events,
        count(DISTINCT hash(visitor_id)) FILTER (is_now AND visitor_id IS NOT NULL) AS visitors,
        count(*) FILTER (is_now AND type = 'view') AS view,
        count(*) FILTER (is_now AND type = 'whatsapp_click') AS whatsapp_click,
        count(*) FILTER (is_now AND type = 'call') AS call,
        count(*) FILTER (is_now AND type = 'call_click') AS call_click,
        count(*) FILTER (is_now AND type = 'maps_click') AS maps_click,
        count(*) FILTER (is_now AND type = 'location_view') AS location_view,
        count(*) FILTER (is_now AND type = 'cart_add') AS cart_add,
        count(*) FILTER (is_now AND type = 'social_share') AS social_share,
        count(*) FILTER (is_now AND type = 'conversion') AS conversion,
        count(*) FILTER (is_now AND type = 'purchase') AS purchase,
        count(*) FILTER (is_now AND is_sale) AS transactions,
        count(*) FILTER (NOT is_now) AS events_before,
        count(DISTINCT hash(visitor_id)) FILTER (NOT is_now AND visitor_id IS NOT NULL)
            AS visitors_before,
        count(*) FILTER (NOT is_now AND is_sale) AS transactions_before,
        count(*) FILTER (NOT is_now AND is_contact) AS contacts_before
    FROM chosen
    GROUP BY tenant_id
)
SELECT
    tenant_id,
    tenants.slug AS tenant,
    counted.* EXCLUDE (tenant_id, events_before, visitors_before, transactions_before, contacts_before),
    CASE WHEN $compared_from IS NOT NULL THEN events_before END AS events_before,
    CASE WHEN $compared_from IS NOT NULL THEN visitors_before END AS visitors_before,
    CASE WHEN $compared_from IS NOT NULL THEN transactions_before END AS transactions_before,
    CASE WHEN $compared_from IS NOT NULL THEN contacts_before END AS contacts_before,
    round(events / nullif(counted.events_before, 0) - 1, 4) AS events_change,
    round(visitors / nullif(counted.visitors_before, 0) - 1, 4) AS visitors_change,
    round(transactions / nullif(counted.transactions_before, 0) - 1, 4) AS transactions_change,
    round(
        (whatsapp_click + call + call_click + maps_click + location_view)
        / nullif(counted.contacts_before, 0) - 1, 4) AS contacts_change
FROM counted
LEFT JOIN tenants ON tenants.id = tenant_id
ORDER BY events DESC, tenant_id
