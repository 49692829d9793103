-- attribution: what led to the sales, by channel, campaign (utm_campaign), source, page or product:
-- `by`, channel by default. Each sale counts once in three ways, per currency:
-- last, by the newest event of its visitor before it that has such a value other than direct and
-- internal (a page of the shop, opened in a new tab), or else by the sale itself; first, by the first
-- event of its visit; linked, by the event of the shop that its `ref` names, if that was received in
-- the 30 days before the sale; of several, the newest.
-- A sale without a visitor counts by itself, and one whose ref names no event that is still kept is
-- not linked. A NULL key holds the sales without a value. Filters choose sales, not the events that
-- led to them. A visitor is one day of the shop's calendar, and only events of the period count.
-- parameters: tenant, from, to, bots, by, limit, filters
WITH sales AS (
    SELECT tenant_id, series, seq, occurred_at, received_at, value, currency, ref,
           visitor_of(visitor_id) AS visitor, {touch} AS own
    FROM selected($tenant, $from, $to, $bots)
    WHERE is_sale(endpoint, type) AND {filters}
),
touches AS (
    SELECT visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
           occurred_at, received_at, series, seq, {touch} AS touch
    FROM selected($tenant, $from, $to, $bots)
    WHERE visitor_id IS NOT NULL
      AND visitor_of(visitor_id) IN (SELECT visitor FROM sales WHERE visitor IS NOT NULL)
),
walked AS (
    SELECT series, seq,
           last_value(CASE WHEN {touched} THEN touch END IGNORE NULLS) OVER (
               PARTITION BY visitor ORDER BY occurred_at, received_at, seq, series
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_touch,
           first_value(coalesce(touch, '')) OVER (
               PARTITION BY visit ORDER BY occurred_at, received_at, seq, series) AS first_touch
    FROM touches JOIN visits_of($tenant, $from, $to, $bots) USING (visitor, slot)
),
told AS (
    SELECT value, currency,
           coalesce(last_touch, own) AS last_key,
           CASE WHEN first_touch IS NULL THEN own ELSE nullif(first_touch, '') END AS first_key
    FROM sales LEFT JOIN walked USING (series, seq)
),
-- The events that refs name and the sales that name them, in the order of their receipt.
refs AS (
    SELECT DISTINCT tenant_id AS shop, ref AS named, right(ref, 10) AS ending
    FROM sales WHERE ref IS NOT NULL
),
named AS (
    SELECT shop, named, epoch_us(received_at) AS received_us, series, seq, {touch} AS touch,
           false AS is_sale, NULL::DECIMAL(18, 4) AS value, NULL::VARCHAR AS currency
    FROM events
    JOIN refs ON shop = tenant_id AND ending = right(event_id, 10)
        AND (named = ending OR named = event_id)
    WHERE ($tenant IS NULL OR tenant_id = $tenant)
      AND falls_in(received_at, event_date, days_later($from, -31), NULL)
      AND ($bots OR NOT coalesce(bot, false))
    UNION ALL
    SELECT tenant_id, ref, epoch_us(received_at), series, seq, NULL, true, value, currency
    FROM sales WHERE ref IS NOT NULL
),
followed AS (
    SELECT is_sale, value, currency, received_us,
           last_value(CASE WHEN NOT is_sale THEN coalesce(touch, '') END IGNORE NULLS) OVER (
               PARTITION BY shop, named ORDER BY received_us, series, seq, is_sale DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS linked_touch,
           last_value(CASE WHEN NOT is_sale THEN received_us END IGNORE NULLS) OVER (
               PARTITION BY shop, named ORDER BY received_us, series, seq, is_sale DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS linked_us
    FROM named
),
counted AS (
    SELECT last_key AS key, currency, 1 AS last_sale, value AS last_value,
           0 AS first_sale, NULL::DECIMAL(18, 4) AS first_value,
           0 AS linked_sale, NULL::DECIMAL(18, 4) AS linked_value
    FROM told
    UNION ALL
    SELECT first_key, currency, 0, NULL, 1, value, 0, NULL FROM told
    UNION ALL
    SELECT nullif(linked_touch, ''), currency, 0, NULL, 0, NULL, 1, value
    FROM followed
    WHERE is_sale AND received_us - linked_us <= 2592000000000
)
SELECT
    key,
    currency,
    sum(last_sale)::BIGINT AS last_transactions,
    coalesce(sum(last_value), 0)::DECIMAL(38, 4) AS last_value,
    sum(first_sale)::BIGINT AS first_transactions,
    coalesce(sum(first_value), 0)::DECIMAL(38, 4) AS first_value,
    sum(linked_sale)::BIGINT AS linked_transactions,
    coalesce(sum(linked_value), 0)::DECIMAL(38, 4) AS linked_value
FROM counted
GROUP BY key, currency
ORDER BY last_transactions DESC, last_value DESC, first_transactions DESC, linked_transactions DESC,
         key, currency
LIMIT $limit
