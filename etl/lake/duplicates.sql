-- The duplicate rule, shared by compaction and the live view.
--
-- Two events of one tenant with one dedupe_key are the same event when they were received within
-- the key's window of each other: 24 hours for "id:" keys, 30 days for "tx:" and "stx:" keys. The
-- event in the lake wins; else the first by (received_at, series, seq). An event is compared only
-- with events that are kept: a dropped event makes no other event a duplicate.
--
-- In:  lines (all staged lines); staged_events (the events among them that the lake does not hold);
--      staged_keys (tenant_id, dedupe_key, hash: the keys of staged_events; equal keys have one hash);
--      repeated (hash: the hashes that several rows of staged_keys have);
--      lake_keys (tenant_id, dedupe_key, received_at: the rows of the lake with one of their keys).
-- Out: dropped (series, seq: the duplicates); in lines, their kind is now `duplicate`.

CREATE OR REPLACE TEMP TABLE dropped AS
WITH contested AS (
    SELECT tenant_id, dedupe_key FROM staged_keys SEMI JOIN repeated USING (hash)
    UNION
    SELECT tenant_id, dedupe_key FROM lake_keys
),
in_lake AS (
    SELECT tenant_id, dedupe_key,
           list({'at': epoch_us(received_at), 'series': '', 'seq': 0}) AS kept
    FROM lake_keys GROUP BY ALL
),
arrived AS (
    SELECT tenant_id, dedupe_key,
           list({'at': epoch_us(received_at), 'series': series::VARCHAR, 'seq': seq}
                ORDER BY received_at, series, seq) AS arrivals
    FROM staged_events SEMI JOIN contested USING (tenant_id, dedupe_key)
    GROUP BY ALL
),
judged AS (
    SELECT arrivals,
           list_reduce(
               arrivals,
               lambda kept, arrival: CASE
                   WHEN len(list_filter(kept, lambda other: abs(other.at - arrival.at)
                       <= CASE WHEN starts_with(dedupe_key, 'tx:') OR starts_with(dedupe_key, 'stx:')
                               THEN 30 * 86400000000 ELSE 86400000000 END)) > 0
                   THEN kept ELSE list_append(kept, arrival) END,
               coalesce(in_lake.kept, [])) AS kept
    FROM arrived LEFT JOIN in_lake USING (tenant_id, dedupe_key)
)
SELECT dropped_event.series AS series, dropped_event.seq AS seq
FROM (
    SELECT unnest(list_filter(arrivals, lambda arrival: NOT list_contains(kept, arrival)))
        AS dropped_event
    FROM judged
);

UPDATE lines SET kind = 'duplicate' FROM dropped
WHERE lines.series = dropped.series AND lines.seq = dropped.seq;
