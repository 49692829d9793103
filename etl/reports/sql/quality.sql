-- quality: what was received: accepted events, those of them by bots, duplicates that were not
-- counted again, duplicates of a sale with another amount than the one that counts (per currency,
-- with the sum of their amounts), and rejected payloads per reason. A rejected payload belongs to
-- the shop whose current id, UUID or, for a conversion, slug it names. It counts by the time of its
-- receipt, all others by the time of the event.
-- parameters: tenant, from, to, endpoint
WITH refused AS (
    SELECT reason FROM rejected
    WHERE falls_in(received_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
      AND ($tenant IS NULL OR (series, segment, seq) IN (FROM refused_of_tenant))
),
counted AS (
    SELECT count(*) AS accepted, count(*) FILTER (bot) AS bots
    FROM selected($tenant, $from, $to, true)
    WHERE $endpoint IS NULL OR endpoint = $endpoint
),
repeated AS (
    SELECT count(*) AS events FROM duplicates
    WHERE ($tenant IS NULL OR tenant_id = $tenant)
      AND falls_in(occurred_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
),
differing AS (
    SELECT currency, count(*) AS events, sum(value)::DECIMAL(38, 4) AS value FROM disagreeing()
    WHERE ($tenant IS NULL OR tenant_id = $tenant)
      AND falls_in(occurred_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
    GROUP BY currency
),
outcomes AS (
    SELECT 1 AS ordinal, 'accepted' AS outcome, NULL::VARCHAR AS reason, accepted AS events,
           NULL::DECIMAL(38, 4) AS value
    FROM counted
    UNION ALL
    SELECT 2, 'bots', NULL, bots, NULL FROM counted
    UNION ALL
    SELECT 3, 'duplicates', NULL, events, NULL FROM repeated
    UNION ALL
    SELECT 4, 'another-amount', currency, events, value FROM differing
    UNION ALL
    SELECT 5, 'rejected', reason, count(*), NULL FROM refused GROUP BY reason
)
SELECT outcome, reason, events, value FROM outcomes
ORDER BY ordinal, events DESC, reason
