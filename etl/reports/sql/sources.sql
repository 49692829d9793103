-- sources: the sources of events: metadata.source, else the referrer, else "direct".
-- parameters: tenant, from, to, bots, limit, endpoint, type, product, source
SELECT
    source_of(metadata) AS source,
    count(DISTINCT hash(visitor_id)) FILTER (visitor_id IS NOT NULL) AS visitors,
    count(*) AS events,
    count(*) FILTER (is_sale(endpoint, type)) AS transactions
FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
GROUP BY ALL
ORDER BY visitors DESC, events DESC, source
LIMIT $limit
