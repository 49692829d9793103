-- signed-sales: verified sales and sales that are only claimed, per currency. A verified sale has a
-- valid signature of its shop's server; anyone who knows the shop's slug can claim one. Together
-- they are the transactions and the value of `revenue`.
-- parameters: tenant, from, to, bots, filters
WITH sales AS (
    SELECT currency, value, coalesce(signed, false) AS verified
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters} AND is_sale(endpoint, type)
)
SELECT
    currency,
    count(*) FILTER (verified) AS verified_transactions,
    coalesce(sum(value) FILTER (verified), 0) AS verified_value,
    count(*) FILTER (NOT verified) AS claimed_transactions,
    coalesce(sum(value) FILTER (NOT verified), 0) AS claimed_value
FROM sales
GROUP BY currency
ORDER BY sum(value) DESC, currency
