-- revenue: transactions and their value, per currency. Transactions are sales sent to the
-- conversion endpoint.
-- parameters: tenant, from, to, bots, filters
SELECT
    currency,
    count(*) AS transactions,
    sum(value) AS value
FROM selected($tenant, $from, $to, $bots)
WHERE {filters} AND is_sale(endpoint, type)
GROUP BY currency
ORDER BY value DESC, currency
