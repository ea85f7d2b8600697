-- Mature sums over units by a property of the text. A unit that saw two values is one unit in each.
SELECT part, arm, count(*) AS n, sum(impressions) AS impressions, sum(clicks) AS clicks,
       sum(conversions) AS conversions, sum(impressions * impressions) AS sum_ii, sum(clicks * clicks) AS sum_cc,
       sum(conversions * conversions) AS sum_vv, sum(impressions * clicks) AS sum_ic,
       sum(impressions * conversions) AS sum_iv, sum(clicks * conversions) AS sum_cv
FROM (
    SELECT coalesce({part}, 'unknown') AS part, arm, unit, count(*) AS impressions,
           count(*) FILTER (WHERE clicked) AS clicks, count(*) FILTER (WHERE converted) AS conversions
    FROM exposures {texts}
    WHERE phase_id = :phase AND impression_at < :cutoff AND NOT shifted AND {counted}
          AND unit NOT IN (SELECT unit FROM unit_days WHERE phase_id = :phase AND two_arms)
    GROUP BY part, arm, unit
) units
GROUP BY part, arm ORDER BY part, arm
