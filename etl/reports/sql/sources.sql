-- sources: the sources of events: utm_source, else the referrer, else "direct"; of old events what
-- metadata.source and metadata.referrer say.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS (
    SELECT
        source_of(utm_source, referrer, metadata, channel_rules) AS source,
        visitor_of(visitor_id) AS visitor,
        count(*) AS events,
        count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
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
