-- quality: what came in and what became of it: events accepted, those of them that are bots',
-- events that came again and were not counted again, and payloads that were refused, by reason.
-- A refused payload is the shop's that it would have been resolved to, by what the shop is called
-- now: its id, its UUID or, of a conversion, its slug. It counts by its receipt, all others by when
-- they occurred.
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
told AS (
    SELECT 1 AS ordinal, 'accepted' AS outcome, NULL::VARCHAR AS reason, accepted AS events
    FROM counted
    UNION ALL
    SELECT 2, 'bots', NULL, bots FROM counted
    UNION ALL
    SELECT 3, 'duplicates', NULL, events FROM again
    UNION ALL
    SELECT 4, 'rejected', reason, count(*) FROM refused_of GROUP BY reason
)
SELECT outcome, reason, events FROM told
ORDER BY ordinal, events DESC, reason
