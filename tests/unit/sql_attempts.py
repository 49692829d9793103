"""Attempts that administrators' SQL must refuse, one per line, with words of the error.

`{data}` stands for the data folder, `{port}` for the private port. Add a line to add an attempt.
"""

ONE_SELECT = "one SELECT"
NOT_OFFERED = "not offered"
NO_TABLE = "no table"
TOO_LARGE = "more memory"

REFUSED: list[tuple[str, str]] = [
    # -- writes in statements of their own
    ("COPY (SELECT 1) TO '{data}/lake/x.csv'", ONE_SELECT),
    ("COPY events TO '{data}/lake/x.parquet' (FORMAT parquet)", ONE_SELECT),
    ("CREATE TABLE t AS SELECT 1", ONE_SELECT),
    ("CREATE OR REPLACE TEMP VIEW events AS SELECT 1", ONE_SELECT),
    ("CREATE MACRO f(x) AS x", ONE_SELECT),
    ("CREATE SECRET s (TYPE s3)", ONE_SELECT),
    ("DROP VIEW events", ONE_SELECT),
    ("INSERT INTO stopped VALUES ('a', 1, 'b')", ONE_SELECT),
    ("UPDATE stopped SET series = 'a'", ONE_SELECT),
    ("DELETE FROM lines", ONE_SELECT),
    ("TRUNCATE lines", ONE_SELECT),
    ("ALTER TABLE lines ADD COLUMN a INT", ONE_SELECT),
    ("EXPORT DATABASE '{data}/lake/dump'", ONE_SELECT),
    ("IMPORT DATABASE '{data}/lake/dump'", ONE_SELECT),
    ("CHECKPOINT", ONE_SELECT),
    ("VACUUM", ONE_SELECT),
    ("BEGIN", ONE_SELECT),
    # -- writes inside of a SELECT
    ("WITH x AS (COPY (SELECT 1) TO '{data}/lake/x.csv') SELECT * FROM x", "COPY"),
    ("WITH x AS (COPY (SELECT 1) TO '{data}/lake/events/_delta_log/9.json') FROM x", "COPY"),
    ("WITH x AS (DELETE FROM lines RETURNING *) SELECT * FROM x", "DELETE"),
    ("WITH x AS (INSERT INTO lines SELECT * FROM lines RETURNING *) FROM x", "INSERT"),
    ("WITH x AS (UPDATE lines SET kind = 'a' RETURNING *) FROM x", "UPDATE"),
    ("SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{data}/lake/x') FROM x)", "COPY"),
    ("SELECT (WITH x AS (COPY (SELECT 1) TO '{data}/lake/x') SELECT 1 FROM x)", "COPY"),
    ("SELECT 1 UNION ALL (WITH x AS (COPY (SELECT 1) TO '{data}/lake/x') FROM x)", "COPY"),
    ("wItH x As (cOpY (SELECT 1) tO '{data}/lake/x.csv') SELECT * FROM x", "COPY"),
    ("WITH/**/x AS(COPY/*a*/(SELECT 1)TO'{data}/lake/x.csv')SELECT*FROM x", "COPY"),
    ("SELECT write_log('x')", NOT_OFFERED),
    ("SELECT nextval('x')", NOT_OFFERED),
    # -- several statements, comments, letters that look alike
    ("SELECT 1; COPY (SELECT 1) TO '{data}/lake/x.csv'", ONE_SELECT),
    ("SELECT 1; -- DROP\nDROP VIEW events", ONE_SELECT),
    ("/* SELECT 1 */ DROP VIEW events", ONE_SELECT),
    ("\u00a0COPY (SELECT 1) TO '{data}/lake/x.csv'", ONE_SELECT),
    ("", ONE_SELECT),
    ("-- nothing", ONE_SELECT),
    ("PREPARE p AS SELECT 1", ONE_SELECT),
    ("EXECUTE p", ONE_SELECT),
    ("EXPLAIN ANALYZE SELECT 1", ONE_SELECT),
    ("CALL pragma_version()", ONE_SELECT),
    ("PIVOT events ON type USING count(*)", ONE_SELECT),
    # -- settings and extensions
    ("SET memory_limit = '1TB'", ONE_SELECT),
    ("SET enable_external_access = true", ONE_SELECT),
    ("RESET lock_configuration", ONE_SELECT),
    ("PRAGMA database_list", ONE_SELECT),
    ("PRAGMA enable_profiling", ONE_SELECT),
    ("INSTALL httpfs", ONE_SELECT),
    ("LOAD httpfs", ONE_SELECT),
    ("FORCE INSTALL postgres FROM community", ONE_SELECT),
    ("UPDATE EXTENSIONS", ONE_SELECT),
    ("USE system", ONE_SELECT),
    # -- files that are read
    ("SELECT * FROM read_csv('{data}/tokens.json')", NOT_OFFERED),
    ("SELECT * FROM read_text('{data}/tokens.json')", NOT_OFFERED),
    ("SELECT * FROM read_blob('{data}/directory.db')", NOT_OFFERED),
    ("SELECT * FROM read_text('{data}/salts/*')", NOT_OFFERED),
    ("SELECT * FROM ReAd_TeXt('/proc/self/environ')", NOT_OFFERED),
    ("SELECT * FROM \"read_blob\"('/proc/self/mem')", NOT_OFFERED),
    ("SELECT * FROM main.read_text('/dev/zero')", NOT_OFFERED),
    ("SELECT * FROM system.main.read_text('/dev/urandom')", NOT_OFFERED),
    ("SELECT * FROM read_json('/etc/passwd')", NOT_OFFERED),
    ("SELECT * FROM read_ndjson_objects('{data}/log/*/*')", NOT_OFFERED),
    ("SELECT * FROM read_parquet('{data}/lake/events/*/*.parquet')", NOT_OFFERED),
    ("SELECT * FROM parquet_scan('{data}/link/x.parquet')", NOT_OFFERED),
    ("SELECT * FROM parquet_metadata('{data}/lake/x.parquet')", NOT_OFFERED),
    ("SELECT * FROM sniff_csv('/etc/passwd')", NOT_OFFERED),
    ("SELECT * FROM glob('/etc/*')", NOT_OFFERED),
    ("SELECT * FROM read_duckdb('{data}/x.db')", NOT_OFFERED),
    ("SELECT (SELECT content FROM read_text('{data}/tokens.json'))", NOT_OFFERED),
    ("SELECT 1 FROM events WHERE EXISTS (FROM read_text('/etc/passwd'))", NOT_OFFERED),
    ("SELECT * FROM events, LATERAL (SELECT * FROM glob('/*'))", NOT_OFFERED),
    ("DESCRIBE SELECT * FROM read_csv('/etc/passwd')", NOT_OFFERED),
    ("SUMMARIZE FROM '/etc/passwd.csv'", NO_TABLE),
    ("SELECT * FROM '{data}/tokens.json'", NO_TABLE),
    ('FROM "{data}/tokens.json"', NO_TABLE),
    ("FROM tokens.json", NO_TABLE),
    ("FROM 'link/tokens.json'", NO_TABLE),
    ("FROM query('SELECT * FROM read_text(''/etc/passwd'')')", NOT_OFFERED),
    ("FROM query_table('/etc/passwd.csv')", NOT_OFFERED),
    ("FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))", NOT_OFFERED),
    ("FROM arrow_scan(1, 2, 3)", NOT_OFFERED),
    ("FROM pandas_scan(1)", NOT_OFFERED),
    ("FROM python_map_function(1)", NOT_OFFERED),
    # -- the process and its secrets
    ("SELECT getenv('BEACONLOG_REPORTS_TOKEN')", NOT_OFFERED),
    ("SELECT GetEnv('HOME')", NOT_OFFERED),
    ("FROM duckdb_secrets()", NOT_OFFERED),
    ("FROM which_secret('s3://a', 's3')", NOT_OFFERED),
    ("FROM duckdb_logs()", NOT_OFFERED),
    ("FROM duckdb_settings()", NOT_OFFERED),
    ("FROM register_external_resource('a', 'b')", NOT_OFFERED),
    # -- the network, and other databases
    ("FROM read_csv('http://127.0.0.1:{port}/metrics')", NOT_OFFERED),
    ("FROM 'http://127.0.0.1:{port}/x.csv'", NO_TABLE),
    ("FROM 's3://bucket/x.parquet'", NO_TABLE),
    ("ATTACH '{data}/directory.db' (TYPE sqlite)", ONE_SELECT),
    ("ATTACH 'host=127.0.0.1' (TYPE postgres)", ONE_SELECT),
    ("DETACH memory", ONE_SELECT),
    ("FROM postgres_scan('host=127.0.0.1', 'public', 't')", NOT_OFFERED),
    ("FROM sqlite_scan('{data}/directory.db', 'tenants')", NOT_OFFERED),
    ("FROM other.main.t", NO_TABLE),
]
"""Queries that are refused unrun."""

STOPPED: list[tuple[str, str]] = [
    # -- writes inside of a SELECT
    ("WITH RECURSIVE x AS (SELECT 1 UNION (WITH y AS (DELETE FROM lines) FROM y)) FROM x", ""),
    # -- several statements, comments, letters that look alike
    ("SELECT 1\u037e DROP VIEW events", ""),
    ("SELECT 1\x00; DROP VIEW events", ""),
    ("SELECT $1", ""),
    # -- files that are read
    ("FROM question", "question"),
    ("FROM names", "names"),
    # -- memory
    ("SELECT list_sum(range(3000000000))", TOO_LARGE),
    ("SELECT repeat('x', 4000000000)", ""),
    ("SELECT string_agg(repeat('x', 1000000), '') FROM range(100000)", ""),
    ("SELECT list(range) FROM range(1000000000)", ""),
    ("SELECT list(a.metadata) FROM (SELECT repeat('y', 9000) metadata FROM range(1000000)) a", ""),
    ("SELECT range(100000000)::VARCHAR", ""),
    ("SELECT printf('%2000000000d', 1)", ""),
    # -- output
    ("SELECT repeat('x', 100000000) FROM range(8)", ""),
    ("SELECT repeat('x', 20000), range FROM range(10000)", "larger than 64 MiB"),
    # -- what cannot be parsed or written
    ("SELECT " + "(" * 20_000 + "1" + ")" * 20_000, ""),
    ("SELECT " + "[" * 5_000 + "]" * 5_000, ""),
    ("SELECT " + "-" * 1 + " 1" + " + 1" * 12_000, ""),
    ("SELECT TIMESTAMP '294246-01-01 00:00:00'", "VARCHAR"),
    ("SELECT 'infinity'::TIMESTAMPTZ", "VARCHAR"),
]
"""Queries that are refused unrun, fail, or are killed for the memory or output that they take."""

ENDLESS: list[str] = [
    "SELECT count(*) FROM range(100000000000) a, range(100000000000) b",
    "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) FROM x",
    "SELECT pg_sleep(3600)",
    "SELECT rpad('x', 2000000000, 'y')",
    "SELECT sum(regexp_matches(repeat('a', 100000) || range, '(a*)*b')::INT) FROM range(9999999)",
    "SELECT sum(length(md5(range::VARCHAR))) FROM range(100000000000)",
    "SELECT sum(levenshtein(repeat('ab', 20000) || range, repeat('ba', 20000))) FROM range(99999)",
]
"""Queries that are killed at the deadline, or for the memory that they took by then."""
