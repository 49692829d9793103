-- summary: events, visitors, events per type and transactions, per tenant; with `from` also those
-- of the previous period, and the change. The previous period has the same length. While a period
-- is not over, only the part that has passed is compared, by the clocks of `tz`: the parameters
-- `compared_from` and `compared_to` of the result name the span. A day that the calendar of `tz`
-- skips is not counted. A shop that had events in the previous period and has none now is listed
-- with zeros. Transactions are sales sent to the conversion endpoint. A visitor id lasts one day
-- of the shop's calendar: a visitor counts once per day of the shop.
-- parameters: tenant, from, to, bots, filters
WITH chosen AS (
    SELECT tenant_id, type, visitor_of(visitor_id) AS visitor, is_sale(endpoint, type) AS is_sale,
           $compared_from IS NULL OR occurred_at >= $from AS is_now
    FROM selected($tenant, coalesce($compared_from::TIMESTAMPTZ, $from::TIMESTAMPTZ), $to, $bots)
    WHERE {filters}
      AND ($compared_from IS NULL OR occurred_at >= $from OR occurred_at < $compared_to)
),
-- One pass over the rows, for both periods: a group per type, and a group per visitor.
grouped AS (
    SELECT tenant_id, is_now, type, is_sale, visitor,
           CASE WHEN grouping(visitor) = 1 THEN count(*) ELSE 0 END AS events
    FROM chosen
    GROUP BY GROUPING SETS ((tenant_id, is_now, type, is_sale), (tenant_id, is_now, visitor))
),
counted AS (
    SELECT tenant_id, is_now, type, is_sale, sum(events) AS events, count(visitor) AS visitors
    FROM grouped
    GROUP BY ALL
),
added AS (
    SELECT
        tenant_id,
        total(events, is_now) AS events,
        total(visitors, is_now) AS visitors,
        total(events, is_now AND type = 'view') AS view,
        total(events, is_now AND type = 'whatsapp_click') AS whatsapp_click,
        total(events, is_now AND type = 'call') AS call,
        total(events, is_now AND type = 'call_click') AS call_click,
        total(events, is_now AND type = 'maps_click') AS maps_click,
        total(events, is_now AND type = 'location_view') AS location_view,
        total(events, is_now AND type = 'cart_add') AS cart_add,
        total(events, is_now AND type = 'social_share') AS social_share,
        total(events, is_now AND type = 'conversion') AS conversion,
        total(events, is_now AND type = 'purchase') AS purchase,
        total(events, is_now AND is_sale) AS transactions,
        total(events, NOT is_now) AS events_before,
        total(visitors, NOT is_now) AS visitors_before,
        total(events, NOT is_now AND is_sale) AS transactions_before,
        total(events, NOT is_now AND is_contact(type)) AS contacts_before
    FROM counted
    GROUP BY tenant_id
)
SELECT
    tenant_id,
    tenants.slug AS tenant,
    added.* EXCLUDE (tenant_id, events_before, visitors_before, transactions_before, contacts_before),
    CASE WHEN $compared_from IS NOT NULL THEN events_before END AS events_before,
    CASE WHEN $compared_from IS NOT NULL THEN visitors_before END AS visitors_before,
    CASE WHEN $compared_from IS NOT NULL THEN transactions_before END AS transactions_before,
    CASE WHEN $compared_from IS NOT NULL THEN contacts_before END AS contacts_before,
    round(events / nullif(added.events_before, 0) - 1, 4) AS events_change,
    round(visitors / nullif(added.visitors_before, 0) - 1, 4) AS visitors_change,
    round(transactions / nullif(added.transactions_before, 0) - 1, 4) AS transactions_change,
    round(
        (whatsapp_click + call + call_click + maps_click + location_view)
        / nullif(added.contacts_before, 0) - 1, 4) AS contacts_change
FROM added
LEFT JOIN tenants ON tenants.id = tenant_id
ORDER BY events DESC, tenant_id
