-- funnel: visitors and events of each step; a visitor counts in every step it took, in any order.
-- Visitors who asked for privacy have no visitor_id: their events count, they do not.
-- parameters: tenant, from, to, bots
WITH steps (ordinal, step, type) AS (
    VALUES
        (1, 'view', 'view'),
        (2, 'contact', 'whatsapp_click'),
        (2, 'contact', 'call'),
        (2, 'contact', 'call_click'),
        (2, 'contact', 'maps_click'),
        (2, 'contact', 'location_view'),
        (3, 'cart', 'cart_add'),
        (4, 'purchase', 'purchase'),
        (4, 'purchase', 'conversion')
)
SELECT
    step,
    count(DISTINCT visitor_id) AS visitors,
    count(selected.type) AS events
FROM steps
LEFT JOIN selected($tenant, $from, $to, $bots) AS selected USING (type)
GROUP BY ordinal, step
ORDER BY ordinal
