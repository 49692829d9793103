-- quality: what came in and what became of it: events accepted, those of them that are bots',
-- events that came again and were not counted again, those of them that are sales with another amount
-- than the one that counts (by currency, with the sum of what they said), and payloads that were
-- refused, by reason. A refused payload is the shop's that it would have been resolved to, by what
-- the shop is called now: its id, its UUID or, of a conversion, its slug. It counts by its receipt,
-- all others by when they occurred.
-- parameters: tenant, from, to, endpoint
WITH refused_of AS (
    SELECT reason FROM rejected
    WHERE falls_in(received_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
      AND ($tenant IS NULL OR (series, segment, seq) IN (FROM refused_of_tenant))
),
counted AS (
    SELECT count(*) AS accepted, count(*) FILTER (bot) AS bots
    FROM selected($tenant, $from, $to, true, $endpoint, NULL, NULL, NULL)
),
again AS (
    SELECT count(*) AS events FROM duplicates
    WHERE ($tenant IS NULL OR tenant_id = $tenant)
      AND falls_in(occurred_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
),
differing AS (
    SELECT currency, count(*) AS events, sum(value)::DECIMAL(38, 4) AS value FROM disagreeing
    WHERE ($tenant IS NULL OR tenant_id = $tenant)
      AND falls_in(occurred_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
    GROUP BY currency
),
told AS (
    SELECT 1 AS ordinal, 'accepted' AS outcome, NULL::VARCHAR AS reason, accepted AS events,
           NULL::DECIMAL(38, 4) AS value
    FROM counted
    UNION ALL
    SELECT 2, 'bots', NULL, bots, NULL FROM counted
    UNION ALL
    SELECT 3, 'duplicates', NULL, events, NULL FROM again
    UNION ALL
    SELECT 4, 'another-amount', currency, events, value FROM differing
    UNION ALL
    SELECT 5, 'rejected', reason, count(*), NULL FROM refused_of GROUP BY reason
)
SELECT outcome, reason, events, value FROM told
ORDER BY ordinal, events DESC, reason
