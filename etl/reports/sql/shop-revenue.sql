-- shop-revenue: transactions and their value, per shop and currency. Transactions are sales sent to
-- the conversion endpoint.
-- parameters: tenant, from, to, bots, filters
WITH sold AS (
    SELECT tenant_id, currency, count(*) AS transactions, sum(value) AS value
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters} AND is_sale(endpoint, type)
    GROUP BY tenant_id, currency
)
SELECT
    tenant_id,
    tenants.slug AS tenant,
    sold.currency AS currency,
    transactions,
    value
FROM sold
LEFT JOIN tenants ON tenants.id = tenant_id
ORDER BY tenant_id, transactions DESC, sold.currency
