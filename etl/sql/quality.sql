-- quality: what came in and what became of it: events accepted, those of them that are bots',
-- events that came again and were not counted again, and payloads that were refused, by reason.
-- What a payload says of its shop decides whose it is.
-- parameters: tenant, from, to, endpoint
WITH shop AS (
    SELECT id, uuid, slug FROM tenants WHERE id = $tenant
),
refused AS (
    SELECT reason, try_cast(body AS JSON) AS said
    FROM rejected
    WHERE falls_in(received_at, event_date, $from, $to)
      AND ($endpoint IS NULL OR endpoint = $endpoint)
),
refused_of AS (
    SELECT reason FROM refused
    WHERE $tenant IS NULL
       OR lower(said ->> '$.tenant_id') IN (SELECT unnest([id::VARCHAR, lower(uuid)]) FROM shop)
       OR said ->> '$.tenant_slug' IN (SELECT slug FROM shop)
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
