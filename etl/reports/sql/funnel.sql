-- funnel: visitors and events per step; a visitor counts in each step that it took, in any order. A
-- visitor counts once per day of the shop. Visitors who asked for privacy have no visitor_id: their
-- events count, but they do not count as visitors. The last step also counts events that a page
-- calls a purchase; other reports do not count those as transactions. The parameter `steps` names
-- other steps, such as view,cart_add:product=7:path=/shoes,goal:NAME; contact is any event by which
-- a visitor gets in touch. Then a visitor counts in a step if it took all steps up to it in their
-- order, each by another event, and the last of them at most `within`, such as 30m or 24h, after
-- the first.
-- parameters: tenant, from, to, bots, steps, within, filters
WITH steps (ordinal, step) AS (
    VALUES (1, 'view'), (2, 'contact'), (3, 'cart'), (4, 'purchase')
),
taken AS (
    SELECT
        CASE
            WHEN type = 'view' THEN 1
            WHEN is_contact(type) THEN 2
            WHEN type = 'cart_add' THEN 3
            WHEN type IN ('purchase', 'conversion') THEN 4
        END AS ordinal,
        visitor_id
    FROM selected($tenant, $from, $to, $bots)
    WHERE {filters}
),
counted AS (
    SELECT ordinal, count(*) AS events FROM taken GROUP BY ordinal
),
-- The steps of a visitor as bits.
walked AS (
    SELECT bit_or(1 << ordinal) AS path FROM taken
    WHERE visitor_id IS NOT NULL AND ordinal IS NOT NULL
    GROUP BY visitor_of(visitor_id)
),
paths AS (
    SELECT path, count(*) AS visitors FROM walked GROUP BY path
)
SELECT
    step,
    coalesce((SELECT sum(visitors) FROM paths WHERE path & (1 << ordinal) > 0), 0)::BIGINT
        AS visitors,
    coalesce(events, 0) AS events
FROM steps
LEFT JOIN counted USING (ordinal)
ORDER BY ordinal
