-- product-funnel: visitors per product and step of the funnel, in any order: who viewed it, asked
-- about it (contact), put it into a cart, bought it. A visitor counts once per step and day of the
-- shop. Events without a visitor do not count.
-- parameters: tenant, from, to, bots, limit, filters
WITH walked AS (
    SELECT tenant_id, product_id,
           bit_or(CASE
               WHEN type = 'view' THEN 1
               WHEN is_contact(type) THEN 2
               WHEN type = 'cart_add' THEN 4
               WHEN type IN ('purchase', 'conversion') THEN 8
               ELSE 0
           END) AS path
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters} AND product_id IS NOT NULL AND visitor_id IS NOT NULL
    GROUP BY tenant_id, product_id, visitor_of(visitor_id)
),
counted AS (
    SELECT tenant_id, product_id,
           count(*) FILTER (path & 1 > 0) AS viewers,
           count(*) FILTER (path & 2 > 0) AS contact,
           count(*) FILTER (path & 4 > 0) AS cart,
           count(*) FILTER (path & 8 > 0) AS purchase
    FROM walked
    WHERE path > 0
    GROUP BY tenant_id, product_id
)
SELECT
    product_id,
    products.name AS name,
    viewers,
    contact,
    cart,
    purchase,
    counted.tenant_id AS tenant_id
FROM counted
LEFT JOIN products ON products.id = product_id AND products.tenant_id = counted.tenant_id
ORDER BY purchase DESC, cart DESC, viewers DESC, contact DESC, tenant_id, product_id
LIMIT $limit
