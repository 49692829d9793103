-- The report funnel with steps of its own. A visitor counts in a step if it took all steps up to it in
-- their order, each by another event, and the last within $within seconds of the first. Of two events
-- at the same time, the one that was received first is the earlier one. Events count by themselves,
-- whatever was taken before, also those without a visitor.
--
-- A row of step_N is an event by which a visitor took step N. `began_us` is the latest start of a way
-- to it: a later start leaves more of the window, and whoever took step N later began no earlier. Each
-- step after the first is made from funnel-next-step.sql.
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
{next_steps}
reached AS (
    {reached}
),
named AS (
    SELECT unnest(range(1, len($step_names) + 1)) AS number, unnest($step_names) AS step
)
SELECT
    named.step AS step,
    visitors,
    (SELECT count(*) FROM taken WHERE steps & (1 << (number - 1)::INTEGER) > 0) AS events
FROM named JOIN reached USING (number)
ORDER BY number
