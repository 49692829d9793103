-- What a connection to the live view offers, over `lake_<table>` (one snapshot of each table) and
-- `staged_<table>` (the log's tail above that snapshot's watermarks).

CREATE OR REPLACE TEMP VIEW events AS
SELECT * FROM lake_events UNION ALL BY NAME SELECT * FROM staged_events;

CREATE OR REPLACE TEMP VIEW rejected AS
SELECT * FROM lake_rejected UNION ALL BY NAME SELECT * FROM staged_rejected;

CREATE OR REPLACE TEMP VIEW duplicates AS
SELECT * FROM lake_duplicates UNION ALL BY NAME SELECT * FROM staged_duplicates;

-- Where an event came from, as the page that sent it says.
CREATE OR REPLACE TEMP MACRO source_of(metadata) AS coalesce(
    nullif(json_extract_string(metadata, '$.source'), ''),
    nullif(json_extract_string(metadata, '$.referrer'), ''),
    'direct');

-- The events of a report: of one tenant or all (NULL), that occurred in [since, until), without
-- bots unless `with_bots`; of one endpoint, type, product and source, or all (NULL). An event
-- occurs at most a few minutes after its receipt, so older partitions hold nothing that occurred
-- since `since`.
CREATE OR REPLACE TEMP MACRO selected(
    tenant, since, until, with_bots, of_endpoint, of_type, of_product, of_source
) AS TABLE
SELECT * FROM events
WHERE (tenant IS NULL OR tenant_id = tenant)
  AND (since IS NULL OR (occurred_at >= since
                         AND event_date >= CAST(since AS DATE) - 2))
  AND (until IS NULL OR occurred_at < until)
  AND (with_bots OR NOT coalesce(bot, false))
  AND (of_endpoint IS NULL OR endpoint = of_endpoint)
  AND (of_type IS NULL OR type = of_type)
  AND (of_product IS NULL OR product_id = of_product)
  AND (of_source IS NULL OR source_of(metadata) = of_source);
