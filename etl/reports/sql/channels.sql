-- channels: the channels through which visitors came: visitors, visits, events and transactions per
-- channel. NULL holds the events without a context: those of old trackers and of servers. A visit
-- counts for each channel that one of its events has.
-- parameters: tenant, from, to, bots, filters
WITH counted AS (
    SELECT channel, visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           count(*) AS events, count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
    GROUP BY channel, visitor, slot
),
visited AS (
    SELECT channel, visitor, visit, sum(events) AS events, sum(transactions) AS transactions
    FROM counted LEFT JOIN visits_of($tenant, $from, $to, $bots) USING (visitor, slot)
    GROUP BY channel, visitor, visit
)
SELECT
    channel,
    count(DISTINCT visitor) AS visitors,
    count(visit) AS visits,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM visited
GROUP BY channel
ORDER BY visitors DESC, events DESC, channel
