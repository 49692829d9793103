-- sources: the sources of events: metadata.source, else the referrer, else "direct".
-- parameters: tenant, from, to, bots, limit, endpoint, type, product, source
WITH counted AS (
    SELECT
        source_of(metadata) AS source,
        visitor_of(visitor_id) AS visitor,
        count(*) AS events,
        count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots, $endpoint, $type, $product, $source)
    GROUP BY ALL
)
SELECT
    source,
    count(visitor) AS visitors,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM counted
GROUP BY source
ORDER BY visitors DESC, events DESC, source
LIMIT $limit
