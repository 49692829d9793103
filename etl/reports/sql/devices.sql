-- devices: phones, tablets and desktops: visitors, visits, events and transactions per kind of device.
-- NULL holds the events without a known device.
-- parameters: tenant, from, to, bots, filters
WITH counted AS (
    SELECT device, visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           count(*) AS events, count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY device, visitor, slot
),
visited AS (
    SELECT device, visitor, visit, sum(events) AS events, sum(transactions) AS transactions
    FROM counted LEFT JOIN visits_of($tenant, $from, $to, $bots) USING (visitor, slot)
    GROUP BY device, visitor, visit
)
SELECT
    device,
    count(DISTINCT visitor) AS visitors,
    count(visit) AS visits,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM visited
GROUP BY device
ORDER BY visitors DESC, events DESC, device
