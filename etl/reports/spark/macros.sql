-- Macros of etl/lake/live/macros.sql whose body DuckDB alone understands, in Spark's SQL.

-- DuckDB compares a hash of 64 bits. Spark's hash has 32, so the text itself is compared.
CREATE MACRO visitor_of(visitor_id) AS visitor_id;
CREATE MACRO order_of(occurred_at, received_at, seq) AS
    struct(occurred_at, received_at, seq);
CREATE MACRO visit_id(visitor, began_us) AS concat(visitor, '.', began_us);

-- Of a value that is no text, Spark and DuckDB write some numbers, and characters beyond 16 bits in a
-- list or object, in different forms: 1.0E-7 and 1e-7.
CREATE MACRO stated(metadata, channel_rules) AS
    from_json(CASE WHEN channel_rules IS NULL THEN metadata END,
              'source STRING, referrer STRING, path STRING');
CREATE MACRO utm_source_of(utm_source, metadata, channel_rules) AS
    coalesce(utm_source, nullif(stated(metadata, channel_rules).source, ''));
CREATE MACRO host_of(stated) AS
    CASE WHEN stated LIKE '%/%' THEN stated ELSE regexp_replace(stated, '^www[.]|:.*$', '') END;
CREATE MACRO referrer_of(referrer, metadata, channel_rules) AS
    coalesce(referrer, nullif(host_of(stated(metadata, channel_rules).referrer), ''));
CREATE MACRO path_of(path, metadata, channel_rules) AS
    coalesce(path, nullif(stated(metadata, channel_rules).path, ''));

-- The unit of date_trunc must be constant where sqlglot reads it.
CREATE MACRO bucket_shown(us, step, offset_us) AS
    unix_micros(CASE step
        WHEN 'hour' THEN date_trunc('hour', timestamp_micros(us + offset_us))
        WHEN 'day' THEN date_trunc('day', timestamp_micros(us + offset_us))
        WHEN 'week' THEN date_trunc('week', timestamp_micros(us + offset_us))
        WHEN 'month' THEN date_trunc('month', timestamp_micros(us + offset_us))
    END) - offset_us;

-- DuckDB's round(x, 4), which rounds the exact value of x; Spark rounds its shortest decimal form.
-- `high` has the upper half of the digits, so the products with 20000 are exact (Veltkamp's split).
CREATE MACRO high(x) AS 134217729 * x - (134217729 * x - x);
CREATE MACRO rounded(x) AS
    sign(x) * (floor(abs(x) * 10000) + CASE WHEN
        high(abs(x)) * 20000 - (2 * floor(abs(x) * 10000) + 1) + (abs(x) - high(abs(x))) * 20000 >= 0
        THEN 1 ELSE 0 END) / 10000;
