step_{number} AS (
    SELECT taken.visitor AS visitor, taken.ordinal AS ordinal, began_us
    FROM taken ASOF JOIN step_{before} ON taken.visitor = step_{before}.visitor
                               AND taken.ordinal > step_{before}.ordinal
    WHERE steps & (1 << {before}) > 0 AND ($within IS NULL OR us - began_us <= $within::BIGINT * 1000000)
),
