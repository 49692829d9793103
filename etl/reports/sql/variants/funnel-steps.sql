-- The report funnel with steps of its own. A visitor counts in a step if it took all steps up to it in
-- their order, each by another event, and the last within $within seconds of the first. Of two events
-- at the same time, the one that was received first is the earlier one. Events count by themselves,
-- whatever was taken before, also those without a visitor.
--
-- A row of step_N is an event by which a visitor took step N. `began_us` is the latest start of a way
-- to it: a later start leaves more of the window, and whoever took step N later began no earlier.
WITH narrowed AS (
    SELECT visitor_of(visitor_id) AS visitor, occurred_at, received_at, series, seq, {steps} AS steps
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
),
taken AS (
    SELECT visitor, epoch_us(occurred_at) AS us, steps,
           row_number() OVER (ORDER BY occurred_at, received_at, series, seq) AS ordinal
    FROM narrowed
    WHERE steps > 0
),
step_1 AS (
    SELECT visitor, ordinal, us AS began_us FROM taken
    WHERE steps & 1 > 0 AND visitor IS NOT NULL
),
step_2 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_1 ON taken.visitor = step_1.visitor
                               AND taken.ordinal > step_1.ordinal
    WHERE steps & 2 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
step_3 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_2 ON taken.visitor = step_2.visitor
                               AND taken.ordinal > step_2.ordinal
    WHERE steps & 4 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
step_4 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_3 ON taken.visitor = step_3.visitor
                               AND taken.ordinal > step_3.ordinal
    WHERE steps & 8 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
step_5 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_4 ON taken.visitor = step_4.visitor
                               AND taken.ordinal > step_4.ordinal
    WHERE steps & 16 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
step_6 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_5 ON taken.visitor = step_5.visitor
                               AND taken.ordinal > step_5.ordinal
    WHERE steps & 32 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
step_7 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_6 ON taken.visitor = step_6.visitor
                               AND taken.ordinal > step_6.ordinal
    WHERE steps & 64 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
step_8 AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_7 ON taken.visitor = step_7.visitor
                               AND taken.ordinal > step_7.ordinal
    WHERE steps & 128 > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
reached AS (
    SELECT 1 AS step, count(DISTINCT visitor) AS visitors FROM step_1
    UNION ALL
    SELECT 2 AS step, count(DISTINCT visitor) AS visitors FROM step_2
    UNION ALL
    SELECT 3 AS step, count(DISTINCT visitor) AS visitors FROM step_3
    UNION ALL
    SELECT 4 AS step, count(DISTINCT visitor) AS visitors FROM step_4
    UNION ALL
    SELECT 5 AS step, count(DISTINCT visitor) AS visitors FROM step_5
    UNION ALL
    SELECT 6 AS step, count(DISTINCT visitor) AS visitors FROM step_6
    UNION ALL
    SELECT 7 AS step, count(DISTINCT visitor) AS visitors FROM step_7
    UNION ALL
    SELECT 8 AS step, count(DISTINCT visitor) AS visitors FROM step_8
),
named AS (
    SELECT unnest(range(1, len($step_names) + 1)) AS number, unnest($step_names) AS step
)
SELECT
    named.step AS step,
    visitors,
    (SELECT count(*) FROM taken WHERE steps & (1 << (number - 1)::INTEGER) > 0) AS events
FROM named JOIN reached ON reached.step = number
ORDER BY number
