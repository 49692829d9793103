-- browsers: the visitors' browsers: visitors, visits, events and transactions per browser. NULL holds
-- the events without a known browser.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS (
    SELECT browser, visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           count(*) AS events, count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY browser, visitor, slot
),
visited AS (
    SELECT browser, visitor, visit, sum(events) AS events, sum(transactions) AS transactions
    FROM counted LEFT JOIN visits_of($tenant, $from, $to, $bots) USING (visitor, slot)
    GROUP BY browser, visitor, visit
)
SELECT
    browser,
    count(DISTINCT visitor) AS visitors,
    count(visit) AS visits,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM visited
GROUP BY browser
ORDER BY visitors DESC, events DESC, browser
LIMIT $limit
