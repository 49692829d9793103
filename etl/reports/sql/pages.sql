-- pages: the pages of the shop, by path (of old events, metadata.path): visitors, views, and visits
-- that entered on it, left from it, or bounced: a visit of one event, a view. Entry and exit are the
-- first and last page of all events of the visit, whatever the filters; they are counted among the
-- visits with an event that the filters choose. Transactions are sales sent to the conversion
-- endpoint from the page; events without a path are left out.
-- parameters: tenant, from, to, bots, limit, filters
WITH visits AS (
    SELECT visitor, slot, visit FROM visits_of($tenant, $from, $to, $bots)
),
visited AS (
    SELECT visit,
           arg_min(path_of(path, metadata), (occurred_at, received_at, seq)) AS entry,
           arg_max(path_of(path, metadata), (occurred_at, received_at, seq)) AS exit,
           is_bounce(count(*), count(*) FILTER (type = 'view')) AS bounced
    FROM selected($tenant, $from, $to, $bots)
    JOIN visits ON visitor = visitor_of(visitor_id) AND slot = slot_of(occurred_at)
    GROUP BY visit
),
counted AS (
    SELECT path_of(path, metadata) AS page,
           visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           count(*) AS events,
           count(*) FILTER (type = 'view') AS views,
           count(*) FILTER (is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters} AND path_of(path, metadata) IS NOT NULL
    GROUP BY page, visitor, slot
),
walked AS (
    SELECT page, visitor, visit, sum(events) AS events, sum(views) AS views,
           sum(transactions) AS transactions
    FROM counted LEFT JOIN visits USING (visitor, slot)
    GROUP BY page, visitor, visit
)
SELECT
    page AS path,
    count(DISTINCT visitor) AS visitors,
    count(visit) AS visits,
    sum(views)::BIGINT AS views,
    count(*) FILTER (page = entry) AS entries,
    count(*) FILTER (page = exit) AS exits,
    count(*) FILTER (page = entry AND bounced) AS bounces,
    sum(events)::BIGINT AS events,
    sum(transactions)::BIGINT AS transactions
FROM walked LEFT JOIN visited USING (visit)
GROUP BY page
ORDER BY visitors DESC, views DESC, events DESC, page
LIMIT $limit
