-- browsers: the visitors' browsers: visitors, visits, events and transactions per browser. NULL holds
-- the events without a known browser.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS (
    SELECT browser, visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           min(epoch_us(occurred_at)) AS first_us, max(epoch_us(occurred_at)) AS last_us,
           count(*) FILTER ({filters}) AS events,
           count(*) FILTER (({filters}) AND is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    GROUP BY browser, visitor, slot
),
begun AS (
    SELECT *, begins_visit(visitor, first_us, last_us) AS begins FROM counted
),
visited AS (
    SELECT *, visit_of(visitor, first_us, begins) AS visit FROM begun
)
SELECT
    browser,
    count(DISTINCT visitor) AS visitors,
    count(DISTINCT visit) AS visits,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM visited
WHERE events > 0
GROUP BY browser
ORDER BY visitors DESC, events DESC, browser
LIMIT $limit
