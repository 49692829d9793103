-- revenue: transactions and their value, per currency.
-- parameters: tenant, from, to, bots, endpoint, type, product, source
SELECT
    currency,
    count(*) AS transactions,
    sum(value) AS value
FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
WHERE endpoint = 'conversion' AND type IN ('purchase', 'conversion')
GROUP BY currency
ORDER BY value DESC, currency
