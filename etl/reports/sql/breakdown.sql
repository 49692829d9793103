-- breakdown: one measure per value of one dimension, or of two: `by` names them, such as channel or
-- channel,device. The largest amounts come first; key and key_2 are the values as texts, up to 255
-- characters of each, and NULL holds the events without one. The measure value sums the sales sent
-- to the conversion endpoint, one row per currency. If there are more rows than `limit`, the result
-- has a cursor, with which the same question gets the next ones.
-- parameters: tenant, from, to, bots, by, measure, limit, cursor, filters
WITH measured AS (
    SELECT {key} AS key, {key_2} AS key_2, {currency} AS currency,
           ({amount})::DECIMAL(38, 4) AS amount
    FROM selected($tenant, $from, $to, $bots) {joined}
    WHERE {filters} AND ({measured})
    GROUP BY ALL
)
SELECT key, key_2, amount, currency
FROM measured
WHERE $after_amount IS NULL
   OR amount < $after_amount::DECIMAL(38, 4)
   OR (amount = $after_amount::DECIMAL(38, 4)
       AND (key IS NULL, coalesce(key, ''), key_2 IS NULL, coalesce(key_2, ''),
            currency IS NULL, coalesce(currency, ''))
         > ($after_key IS NULL, coalesce($after_key, ''), $after_key_2 IS NULL,
            coalesce($after_key_2, ''), $after_currency IS NULL, coalesce($after_currency, '')))
ORDER BY amount DESC, key, key_2, currency
LIMIT $limit + 1
