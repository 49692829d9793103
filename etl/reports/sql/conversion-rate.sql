-- conversion-rate: transactions per visitor, per tenant. A shop's server that reports a sale is not
-- a visitor, so the rate is a ratio of counts, not of people. A visitor counts once per day of the
-- shop.
-- parameters: tenant, from, to, bots, filters
WITH chosen AS (
    SELECT tenant_id, visitor_id,
           is_sale(endpoint, type) AS is_sale
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
),
counted AS (
    SELECT tenant_id,
           count(DISTINCT visitor_of(visitor_id)) AS visitors,
           count(*) FILTER (is_sale) AS transactions
    FROM chosen
    GROUP BY tenant_id
)
SELECT
    tenant_id,
    tenants.slug AS tenant,
    visitors,
    transactions,
    round(transactions / nullif(visitors, 0), 4) AS rate
FROM counted
LEFT JOIN tenants ON tenants.id = tenant_id
ORDER BY transactions DESC, visitors DESC, tenant_id
