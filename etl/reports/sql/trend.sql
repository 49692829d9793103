-- trend: the figures of a shop on the dashboard, per bucket of time; buckets without events are
-- left out. With `from`, it has those of the previous period too: `period` is "now" or "before".
-- The previous period follows the rule of the report `summary`, which also explains the parameters
-- `compared_from` and `compared_to`. Contacts are the events of the funnel's step contact;
-- transactions are sales sent to the conversion endpoint. Currencies are never added up: `value` is
-- in `currency`, the one of most sales of both periods. A visitor counts once per bucket, so the
-- sum of the buckets can exceed the visitors of the period.
-- parameters: tenant, from, to, interval, tz, bots, filters
WITH chosen AS (
    SELECT minute_of(occurred_at) AS minute, visitor_of(visitor_id) AS visitor, type,
           is_sale(endpoint, type) AS is_sale, value, currency,
           CASE WHEN $compared_from IS NULL OR occurred_at >= $from THEN 'now' ELSE 'before' END
               AS period
    FROM selected($tenant, coalesce($compared_from::TIMESTAMPTZ, $from::TIMESTAMPTZ), $to, $bots)
    WHERE {filters}
      AND ($compared_from IS NULL OR occurred_at >= $from OR occurred_at < $compared_to)
),
counted AS (
    SELECT period, minute, visitor,
           CASE WHEN is_sale THEN currency END AS currency,
           count(*) AS events,
           count(*) FILTER (type = 'view') AS views,
           count(*) FILTER (is_contact(type)) AS contacts,
           count(*) FILTER (type = 'cart_add') AS cart_adds,
           count(*) FILTER (is_sale) AS transactions,
           sum(value) FILTER (is_sale) AS value
    FROM chosen
    GROUP BY ALL
),
main AS (
    SELECT currency FROM counted
    WHERE currency IS NOT NULL
    GROUP BY currency
    ORDER BY sum(transactions) DESC, currency
    LIMIT 1
),
placed AS (
    SELECT minute, bucket_of(minute, $interval, offset_us, fresh_us, bucket_us) AS bucket
    FROM (SELECT DISTINCT minute FROM counted) ASOF JOIN clock ON minute >= began_us
)
SELECT
    bucket,
    period,
    count(DISTINCT visitor) AS visitors,
    sum(events)::BIGINT AS events,
    sum(views)::BIGINT AS views,
    sum(contacts)::BIGINT AS contacts,
    sum(cart_adds)::BIGINT AS cart_adds,
    sum(transactions)::BIGINT AS transactions,
    coalesce(sum(value) FILTER (counted.currency = main.currency), 0)::DECIMAL(38, 4) AS value,
    main.currency AS currency
FROM counted
JOIN placed USING (minute)
LEFT JOIN main ON true
GROUP BY bucket, period, main.currency
ORDER BY period DESC, bucket
