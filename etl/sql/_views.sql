-- What a connection to the live view offers, over `lake_events`, `lake_rejected` (one snapshot)
-- and `staged_events`, `staged_rejected` (the log's tail above that snapshot's watermarks).

CREATE OR REPLACE TEMP VIEW events AS
SELECT * FROM lake_events UNION ALL BY NAME SELECT * FROM staged_events;

CREATE OR REPLACE TEMP VIEW rejected AS
SELECT * FROM lake_rejected UNION ALL BY NAME SELECT * FROM staged_rejected;

-- The events of a report: of one tenant or all (NULL), that occurred in [since, until), without
-- bots unless `with_bots`. An event occurs at most a few minutes after its receipt, so older
-- partitions hold nothing that occurred since `since`.
CREATE OR REPLACE TEMP MACRO selected(tenant, since, until, with_bots) AS TABLE
SELECT * FROM events
WHERE (tenant IS NULL OR tenant_id = tenant)
  AND (since IS NULL OR (occurred_at >= since
                         AND event_date >= CAST(since AS DATE) - 2))
  AND (until IS NULL OR occurred_at < until)
  AND (with_bots OR NOT coalesce(bot, false));
