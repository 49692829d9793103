-- abandoned-carts: products that visitors put into a cart without buying anything on the same day,
-- per shop: `carts` counts a product once per visitor and day. A purchase that a page reports
-- counts as bought, as in the funnel, and so does a sale of the period whose `ref` names an event
-- of the visitor, as a sale in a chat can; other sales of a server have no visitor. Only events of
-- the period count: a cart at its end may be bought after it. Value is the directory's price for
-- each cart, in the shop's currency; NULL where the directory has none.
-- parameters: tenant, from, to, bots, limit, filters
WITH bought AS (
    SELECT tenant_id, visitor_of(visitor_id) AS visitor, ref
    FROM selected($tenant, $from, $to, $bots)
    WHERE type IN ('purchase', 'conversion')
),
refs AS (
    SELECT DISTINCT tenant_id AS shop, ref AS named, right(ref, 10) AS ending
    FROM bought WHERE ref IS NOT NULL
),
buyers AS (
    SELECT visitor FROM bought WHERE visitor IS NOT NULL
    UNION
    SELECT visitor_of(visitor_id)
    FROM selected($tenant, $from, $to, $bots)
    JOIN refs ON shop = tenant_id AND ending = right(event_id, 10)
        AND (named = ending OR named = event_id)
    WHERE visitor_id IS NOT NULL
),
carried AS (
    SELECT DISTINCT tenant_id, product_id, visitor_of(visitor_id) AS visitor
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters} AND type = 'cart_add' AND visitor_id IS NOT NULL
),
left_behind AS (
    SELECT tenant_id, product_id, count(*) AS carts
    FROM carried ANTI JOIN buyers USING (visitor)
    GROUP BY tenant_id, product_id
)
SELECT
    left_behind.tenant_id AS tenant_id,
    tenants.slug AS tenant,
    product_id,
    products.name AS name,
    carts,
    carts * products.price AS value,
    CASE WHEN products.price IS NOT NULL THEN tenants.currency END AS currency
FROM left_behind
LEFT JOIN tenants ON tenants.id = left_behind.tenant_id
LEFT JOIN products ON products.id = product_id AND products.tenant_id = left_behind.tenant_id
ORDER BY carts DESC, left_behind.tenant_id, product_id
LIMIT $limit
