-- campaigns: the campaigns that brought visitors, by utm_source (of old events, metadata.source),
-- utm_medium and utm_campaign; events without any of them are left out. Transactions are sales sent
-- to the conversion endpoint. Currencies are never added up: value is in the currency of most of the
-- campaign's sales; other_value lists the sums in the others.
-- parameters: tenant, from, to, bots, limit, filters
WITH counted AS MATERIALIZED (
    SELECT utm_source_of(utm_source, metadata, channel_rules) AS utm_source, utm_medium, utm_campaign,
           visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           CASE WHEN is_sale(endpoint, type) THEN currency END AS currency,
           count(*) AS events,
           count(*) FILTER (is_sale(endpoint, type)) AS transactions,
           sum(value) FILTER (is_sale(endpoint, type)) AS value
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
      AND (utm_source_of(utm_source, metadata, channel_rules) IS NOT NULL OR utm_medium IS NOT NULL
           OR utm_campaign IS NOT NULL)
    GROUP BY ALL
),
visited AS (
    SELECT utm_source, utm_medium, utm_campaign, visitor, visit,
           sum(events) AS events, sum(transactions) AS transactions
    FROM counted LEFT JOIN visits_of($tenant, $from, $to, $bots) USING (visitor, slot)
    GROUP BY ALL
),
top AS (
    SELECT utm_source, utm_medium, utm_campaign,
           count(DISTINCT visitor) AS visitors,
           count(visit) AS visits,
           sum(events)::BIGINT AS events,
           sum(transactions)::BIGINT AS transactions
    FROM visited
    GROUP BY utm_source, utm_medium, utm_campaign
    ORDER BY visitors DESC, events DESC, utm_source, utm_medium, utm_campaign
    LIMIT $limit
),
sums AS (
    SELECT utm_source, utm_medium, utm_campaign, currency,
           sum(transactions) AS sold, sum(value) AS value
    FROM counted
    WHERE transactions > 0
    GROUP BY utm_source, utm_medium, utm_campaign, currency
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY utm_source, utm_medium, utm_campaign
                                 ORDER BY sold DESC, currency) AS ordinal
    FROM sums
),
earned AS (
    SELECT utm_source, utm_medium, utm_campaign,
           any_value(value) FILTER (ordinal = 1) AS value,
           any_value(currency) FILTER (ordinal = 1) AS currency,
           string_agg(value::DECIMAL(38, 4) || ' ' || currency, ', ' ORDER BY currency)
               FILTER (ordinal > 1) AS other_value
    FROM ranked
    GROUP BY utm_source, utm_medium, utm_campaign
)
SELECT
    top.utm_source AS utm_source,
    top.utm_medium AS utm_medium,
    top.utm_campaign AS utm_campaign,
    visitors,
    visits,
    events,
    transactions,
    coalesce(value, 0) AS value,
    currency,
    other_value
FROM top
LEFT JOIN earned
    ON earned.utm_source IS NOT DISTINCT FROM top.utm_source
    AND earned.utm_medium IS NOT DISTINCT FROM top.utm_medium
    AND earned.utm_campaign IS NOT DISTINCT FROM top.utm_campaign
ORDER BY visitors DESC, events DESC, utm_source, utm_medium, utm_campaign
