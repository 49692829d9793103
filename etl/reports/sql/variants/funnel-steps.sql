-- The report funnel with steps of its own. A visitor counts in a step if it took all steps up to it in
-- their order, each by another event, and the last within $within seconds of the first. Of two events
-- at the same time, the one that was received first is the earlier one. Events count by themselves,
-- whatever was taken before, also those without a visitor.
--
-- step_N has the events that take step N, and those that may take a later one: a way to step N - 1 has
-- ended before them. `began_us` is the latest start of such a way, because it leaves most of the
-- window. In after_N it is that of a way to step N. Both are made from funnel-next-step.sql. step_1 has
-- a row per visitor, because most visitors take no second step.
WITH taken AS (
    SELECT visitor, epoch_us(occurred_at) AS us, received_at, series, seq, steps
    FROM (
        SELECT visitor_of(visitor_id) AS visitor, occurred_at, received_at, series, seq,
               {steps} AS steps
        FROM selected($tenant, $from, $to, $bots)
        WHERE {filters}
    ) AS narrowed
    WHERE steps > 0
),
counted AS (
    SELECT steps, count(*) AS events FROM taken GROUP BY steps
),
step_1 AS (
    SELECT visitor, bit_or(steps) AS steps FROM taken WHERE visitor IS NOT NULL GROUP BY visitor
),
after_1 AS (
    SELECT visitor, us, steps,
           row_number() OVER (PARTITION BY visitor ORDER BY us, received_at, series, seq) AS ordinal,
           max(CASE WHEN steps & 1 > 0 THEN us END) OVER (
               PARTITION BY visitor ORDER BY us, received_at, series, seq
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS began_us
    FROM taken
    WHERE visitor IN (SELECT visitor FROM step_1 WHERE steps & 3 = 3)
),
{next_steps}
reached AS (
    {reached}
)
SELECT step, visitors, events FROM reached ORDER BY number
