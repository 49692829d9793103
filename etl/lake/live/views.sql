-- The views of a connection to the live view. They read `lake_<table>` (one snapshot of
-- each table), `staged_<table>` (the log's tail above that snapshot's watermarks), `counted_events`
-- and `outranked`, which divide the rows of both (etl/lake/superseded.py).

CREATE OR REPLACE TEMP VIEW events AS FROM counted_events;

CREATE OR REPLACE TEMP VIEW rejected AS
SELECT * FROM lake_rejected UNION ALL BY NAME SELECT * FROM staged_rejected;

CREATE OR REPLACE TEMP VIEW duplicates AS
SELECT * FROM lake_duplicates UNION ALL BY NAME SELECT * FROM staged_duplicates
UNION ALL BY NAME SELECT * FROM outranked;
