-- pages: the pages of the shop, by path (of old events, metadata.path): visitors, views, and visits
-- that entered on it, left from it, or bounced: a visit of one event, a view. Entry and exit are the
-- first and last page of all events of the visit, whatever the filters; they are counted among the
-- visits with an event that the filters choose. Transactions are sales sent to the conversion
-- endpoint from the page; events without a path are left out.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS (
    SELECT path_of(path, metadata, channel_rules) AS page,
           visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           min(epoch_us(occurred_at)) AS first_us, max(epoch_us(occurred_at)) AS last_us,
           min(order_of(occurred_at, received_at, seq)) AS first_place,
           max(order_of(occurred_at, received_at, seq)) AS last_place,
           count(*) AS of_visit,
           count(*) FILTER (type = 'view') AS views_of_visit,
           count(*) FILTER ({filters}) AS events,
           count(*) FILTER (({filters}) AND type = 'view') AS views,
           count(*) FILTER (({filters}) AND is_sale(endpoint, type)) AS transactions
    FROM selected($tenant, $from, $to, $bots)
    GROUP BY page, visitor, slot
),
begun AS (
    SELECT *, begins_visit(visitor, first_us, last_us) AS begins FROM counted
),
visited AS (
    SELECT *, visit_of(visitor, first_us, begins) AS visit FROM begun
),
walked AS (
    SELECT visit,
           arg_min(page, first_place) FILTER (page IS NOT NULL) AS entry,
           arg_max(page, last_place) FILTER (page IS NOT NULL) AS exit,
           is_bounce(sum(of_visit), sum(views_of_visit)) AS bounced
    FROM visited
    WHERE visit IS NOT NULL
    GROUP BY visit
),
shown AS (
    SELECT page, visitor, visit, sum(events) AS events, sum(views) AS views,
           sum(transactions) AS transactions
    FROM visited
    WHERE events > 0 AND page IS NOT NULL
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
FROM shown LEFT JOIN walked USING (visit)
GROUP BY page
ORDER BY visitors DESC, views DESC, events DESC, page
LIMIT $limit
