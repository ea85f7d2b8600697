-- The mature sums by local day of the impression: `day` and `first_day` count the midnights that were sent, from 1.
SELECT arm, first_day, day, {increments}
FROM (
    SELECT arm, day, impressions, clicks, conversions, min(day) OVER so_far AS first_day,
           sum(impressions) OVER so_far - impressions AS impressions_before,
           sum(clicks) OVER so_far - clicks AS clicks_before,
           sum(conversions) OVER so_far - conversions AS conversions_before
    FROM (
        SELECT arm, unit, width_bucket(impression_at, CAST(:midnights AS timestamptz[])) AS day,
               count(*) FILTER (WHERE {counted}) AS impressions,
               count(*) FILTER (WHERE clicked AND {counted}) AS clicks,
               count(*) FILTER (WHERE converted AND {counted}) AS conversions
        FROM exposures
        WHERE phase_id = :phase AND impression_at < :cutoff AND NOT shifted
              AND unit NOT IN (SELECT unit FROM unit_days WHERE phase_id = :phase AND two_arms)
        GROUP BY arm, unit, day
    ) shown
    WINDOW so_far AS (PARTITION BY arm, unit ORDER BY day)
) units
GROUP BY arm, first_day, day ORDER BY day
