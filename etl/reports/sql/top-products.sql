-- top-products: the products with the most sales and views. Purchases are sales sent to the
-- conversion endpoint, as transactions are in other reports. Currencies are never added up: revenue
-- is in the currency of most of the product's sales; other_revenue lists the sums in the others.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS MATERIALIZED (
    SELECT tenant_id, product_id, currency,
           count(*) FILTER (type = 'view') AS views,
           count(*) FILTER (type = 'cart_add') AS cart_adds,
           count(*) FILTER (is_sale(endpoint, type)) AS purchases,
           sum(value) FILTER (is_sale(endpoint, type)) AS revenue
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters} AND product_id IS NOT NULL
    GROUP BY tenant_id, product_id, currency
),
top AS (
    SELECT tenant_id, product_id,
           sum(views)::BIGINT AS views,
           sum(cart_adds)::BIGINT AS cart_adds,
           sum(purchases)::BIGINT AS purchases
    FROM counted
    GROUP BY tenant_id, product_id
    ORDER BY purchases DESC, cart_adds DESC, views DESC, tenant_id, product_id
    LIMIT $limit
),
sold AS (
    SELECT tenant_id, product_id, currency, revenue,
           row_number() OVER (PARTITION BY tenant_id, product_id
                              ORDER BY purchases DESC, currency) AS ordinal
    FROM counted SEMI JOIN top USING (tenant_id, product_id)
    WHERE purchases > 0 AND currency IS NOT NULL
),
earned AS (
    SELECT tenant_id, product_id,
           any_value(revenue) FILTER (ordinal = 1) AS revenue,
           any_value(currency) FILTER (ordinal = 1) AS currency,
           string_agg(revenue::DECIMAL(38, 4) || ' ' || currency, ', ' ORDER BY currency)
               FILTER (ordinal > 1) AS other_revenue
    FROM sold
    GROUP BY tenant_id, product_id
)
SELECT
    product_id,
    products.name AS name,
    views,
    cart_adds,
    purchases,
    coalesce(revenue, 0) AS revenue,
    currency,
    other_revenue,
    top.tenant_id AS tenant_id
FROM top
LEFT JOIN earned USING (tenant_id, product_id)
LEFT JOIN products ON products.id = product_id AND products.tenant_id = top.tenant_id
ORDER BY purchases DESC, cart_adds DESC, views DESC, tenant_id, product_id
