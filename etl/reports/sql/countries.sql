-- countries: the visitors' countries: visitors, visits, events and transactions per country, as ISO
-- 3166 codes. NULL holds the events without a known country, as all are without country_database.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS (
    SELECT country, visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           count(*) AS events, count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY country, visitor, slot
),
visited AS (
    SELECT country, visitor, visit, sum(events) AS events, sum(transactions) AS transactions
    FROM counted LEFT JOIN visits_of($tenant, $from, $to, $bots) USING (visitor, slot)
    GROUP BY country, visitor, visit
)
SELECT
    country,
    count(DISTINCT visitor) AS visitors,
    count(visit) AS visits,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM visited
GROUP BY country
ORDER BY visitors DESC, events DESC, country
LIMIT $limit
