step_{number} AS (
    SELECT visitor, us, steps, ordinal, began_us
    FROM after_{before}
    WHERE steps >= {bit} AND began_us IS NOT NULL
      AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
after_{number} AS (
    SELECT visitor, us, steps, ordinal,
           max(CASE WHEN steps & {bit} > 0 THEN began_us END) OVER (
               PARTITION BY visitor ORDER BY ordinal
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS began_us
    FROM step_{number}
),
