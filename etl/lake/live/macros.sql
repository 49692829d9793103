-- The macros of the reports. A DuckDB instance defines them once, because that takes longer than a
-- small report. They read the views of the connection that calls them (views.sql).

-- The context of an event. Old trackers stated it in metadata; an event with a context of its own has
-- `channel_rules`, and its metadata is the shop's. DuckDB parses the JSON once, because all calls are
-- the same, and not at all where a column has the value.
CREATE MACRO stated(metadata, channel_rules) AS
    json_extract_string(CASE WHEN channel_rules IS NULL THEN metadata END,
                        ['$.source', '$.referrer', '$.path']);
CREATE MACRO utm_source_of(utm_source, metadata, channel_rules) AS
    coalesce(utm_source, nullif(stated(metadata, channel_rules)[1], ''));
-- Old trackers stated the referrer's host with "www." and port, which the column leaves out. A URL that
-- they stated stays as it is.
CREATE MACRO host_of(stated) AS
    CASE WHEN stated LIKE '%/%' THEN stated
         ELSE split_part(CASE WHEN stated LIKE 'www.%' THEN substr(stated, 5) ELSE stated END, ':', 1)
    END;
CREATE MACRO referrer_of(referrer, metadata, channel_rules) AS
    coalesce(referrer, nullif(host_of(stated(metadata, channel_rules)[2]), ''));
CREATE MACRO path_of(path, metadata, channel_rules) AS
    coalesce(path, nullif(stated(metadata, channel_rules)[3], ''));
CREATE MACRO source_of(utm_source, referrer, metadata, channel_rules) AS
    coalesce(utm_source_of(utm_source, metadata, channel_rules),
             referrer_of(referrer, metadata, channel_rules), 'direct');

-- A sale, in every report: an event of the conversion endpoint, once per transaction. A purchase
-- that a page reports with `track` is an event and a step of the funnel, but not a sale.
CREATE MACRO is_sale(endpoint, type) AS
    endpoint = 'conversion' AND type IN ('purchase', 'conversion');

-- Whether a moment lies in [since, until); NULL for no bound. `received_on` is the partition: the
-- UTC date of receipt, whatever the zone of the session. No event occurs more than five minutes
-- after its receipt, so it suffices to read the partitions from the day before `since` on.
CREATE MACRO falls_in(moment, received_on, since, until) AS
    (since IS NULL OR (moment >= since
                       AND received_on >= CAST(make_timestamp(epoch_us(since::TIMESTAMPTZ)) AS DATE) - 1))
    AND (until IS NULL OR moment < until);

-- The events of a report: of one tenant or all (NULL), that occurred in [since, until), without
-- bots unless `with_bots`. Reports filter them further: see etl/reports/filters.py.
CREATE MACRO selected(tenant, since, until, with_bots) AS TABLE
SELECT * FROM events
WHERE (tenant IS NULL OR tenant_id = tenant)
  AND falls_in(occurred_at, event_date, since, until)
  AND (with_bots OR NOT coalesce(bot, false));

-- A visitor as a number, which is compared faster than the text: an id is a 64-bit hash, so a hash
-- of it is as distinct.
CREATE MACRO visitor_of(visitor_id) AS
    CASE WHEN visitor_id IS NOT NULL THEN hash(visitor_id) END;

-- A visit is all events of a visitor with less than 30 minutes between one and the next. Two events
-- in one half hour of the clock are closer than that, so visits are found from groups of events of a
-- visitor and a half hour, which are fewer, with the first and last moment of each. The events of a
-- period are divided into visits before any filter of a report narrows them.
CREATE MACRO slot_of(moment) AS epoch_us(moment) // 1800000000;
CREATE MACRO visit_id(visitor, began_us) AS hash(visitor, began_us);
-- Whether a visit begins with a group.
CREATE MACRO begins_visit(visitor, first_us, last_us) AS
    coalesce(first_us - max(last_us) OVER (PARTITION BY visitor ORDER BY first_us
                                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
             >= 1800000000, true);
-- The visit of a group; NULL without a visitor. Of groups with the same first moment one begins the
-- visit of all, so the frame has all of them (RANGE).
CREATE MACRO visit_of(visitor, first_us, begins) AS
    CASE WHEN visitor IS NOT NULL THEN
        visit_id(visitor, max(CASE WHEN begins THEN first_us END) OVER (
            PARTITION BY visitor ORDER BY first_us RANGE UNBOUNDED PRECEDING))
    END;

-- The place of an event among those of a visitor: by occurrence, then receipt, then line. One number
-- of 126 bits is compared faster than three values.
CREATE MACRO order_of(occurred_at, received_at, seq) AS
    (epoch_us(occurred_at)::HUGEINT * 2251799813685248 + epoch_us(received_at)) * 16777216
    + seq % 16777216;

-- The groups of a period's events: one per value of a dimension, visitor and half hour. `dimension`
-- and `condition` are SQL over the columns of an event; the counts `chosen...` are of the events for
-- which the condition holds. DuckDB computes only the columns that a report reads.
CREATE MACRO groups_by(
    dimension, condition, tenant, since, until, with_bots) AS TABLE
SELECT dimension AS key, visitor_of(visitor_id) AS visitor, slot_of(occurred_at) AS slot,
       min(epoch_us(occurred_at)) AS first_us, max(epoch_us(occurred_at)) AS last_us,
       min(order_of(occurred_at, received_at, seq)) AS first_place,
       max(order_of(occurred_at, received_at, seq)) AS last_place,
       count(*) AS events,
       count(*) FILTER (type = 'view') AS views,
       count(*) FILTER (condition) AS chosen,
       count(*) FILTER (condition AND type = 'view') AS chosen_views,
       count(*) FILTER (condition AND is_sale(endpoint, type)) AS chosen_sales
FROM selected(tenant, since, until, with_bots)
GROUP BY key, visitor, slot;

-- The groups, each with its visit.
CREATE MACRO slots_by(
    dimension, condition, tenant, since, until, with_bots) AS TABLE
WITH begun AS (
    SELECT *, begins_visit(visitor, first_us, last_us) AS begins
    FROM groups_by(dimension, condition, tenant, since, until, with_bots)
)
SELECT *, visit_of(visitor, first_us, begins) AS visit FROM begun;

-- The visit of each visitor and half hour with events.
CREATE MACRO visits_of(tenant, since, until, with_bots) AS TABLE
SELECT visitor, slot, visit FROM slots_by(true, true, tenant, since, until, with_bots)
WHERE visitor IS NOT NULL;

-- The visitors, visits, events and transactions of each value of a dimension. A visit counts for each
-- value that one of its events has. Most visitors come once: events of less than 30 minutes are one
-- visit, and only the others (`longer`) have to be divided.
CREATE MACRO visitors_by(
    dimension, condition, tenant, since, until, with_bots) AS TABLE
WITH counted AS (
    SELECT key, visitor, first_us, last_us, chosen, chosen_sales
    FROM groups_by(dimension, condition, tenant, since, until, with_bots)
),
longer AS (
    SELECT visitor FROM counted
    WHERE visitor IS NOT NULL
    GROUP BY visitor
    HAVING max(last_us) - min(first_us) >= 1800000000
),
begun AS (
    SELECT *, begins_visit(visitor, first_us, last_us) AS begins
    FROM counted SEMI JOIN longer USING (visitor)
),
divided AS (
    SELECT *, visit_of(visitor, first_us, begins) AS visit FROM begun
),
by_visitor AS (
    SELECT key, visitor, count(DISTINCT visit) AS visits,
           sum(chosen) AS events, sum(chosen_sales) AS transactions
    FROM divided
    WHERE chosen > 0
    GROUP BY key, visitor
    UNION ALL
    SELECT key, visitor, CASE WHEN visitor IS NULL THEN 0 ELSE 1 END AS visits,
           sum(chosen) AS events, sum(chosen_sales) AS transactions
    FROM counted ANTI JOIN longer USING (visitor)
    WHERE chosen > 0
    GROUP BY key, visitor
)
SELECT key,
       count(visitor) AS visitors,
       sum(visits)::BIGINT AS visits,
       sum(events)::BIGINT AS events,
       sum(transactions)::BIGINT AS transactions
FROM by_visitor
GROUP BY key;

-- A visit of one event, a view.
CREATE MACRO is_bounce(events, views) AS events = 1 AND views = 1;

-- An event by which a visitor gets in touch with the shop.
CREATE MACRO is_contact(type) AS
    type IN ('whatsapp_click', 'call', 'call_click', 'maps_click', 'location_view');

-- The moment so many days later, or earlier; NULL for no bound.
CREATE MACRO days_later(moment, days) AS
    make_timestamptz(epoch_us(moment::TIMESTAMPTZ) + days * 86400000000);

-- The sum of the counts for which a condition holds.
CREATE MACRO total(counts, condition) AS
    coalesce(sum(counts) FILTER (condition), 0)::BIGINT;

-- The minute of a moment, in microseconds since the epoch. Clocks change at whole minutes, so a
-- report finds the buckets of its minutes, which are few, rather than of its events.
CREATE MACRO minute_of(moment) AS
    epoch_us(moment) - ((epoch_us(moment) % 60000000) + 60000000) % 60000000;

-- The start of the bucket of `us` if the zone's offset had never changed.
CREATE MACRO bucket_shown(us, step, offset_us) AS
    epoch_us(date_trunc(step, make_timestamp(us + offset_us))) - offset_us;

-- The start of the bucket of `us`, from its row of `clock`: see etl/reports/clock_table.py.
CREATE MACRO bucket_of(us, step, offset_us, fresh_us, bucket_us) AS
    make_timestamptz(CASE
        WHEN bucket_shown(us, step, offset_us) >= fresh_us
        THEN bucket_shown(us, step, offset_us)
        ELSE bucket_us END);

-- Repeated sales whose amount or currency differs from that of the counted sale.
CREATE MACRO disagreeing() AS TABLE
WITH kept AS (
    SELECT tenant_id, transaction_id, value, currency, received_at FROM events
    SEMI JOIN (SELECT tenant_id, transaction_id FROM duplicates WHERE transaction_id IS NOT NULL)
        USING (tenant_id, transaction_id)
)
SELECT again.* FROM duplicates again
SEMI JOIN kept
    ON kept.tenant_id = again.tenant_id AND kept.transaction_id = again.transaction_id
    AND abs(epoch_us(kept.received_at) - epoch_us(again.received_at)) <= 30 * 86400000000
ANTI JOIN kept
    ON kept.tenant_id = again.tenant_id AND kept.transaction_id = again.transaction_id
    AND abs(epoch_us(kept.received_at) - epoch_us(again.received_at)) <= 30 * 86400000000
    AND kept.value IS NOT DISTINCT FROM again.value
    AND kept.currency IS NOT DISTINCT FROM again.currency;
