-- What the cutoff's own UTC day had added before the cutoff, from the exposures of that day.
SELECT arm, first_day, day, {increments}, 0 AS units_in_two_arms, sum(impressions_in_all) AS impressions_in_all
FROM (
    SELECT arm, unit, CAST(count(*) AS integer) AS impressions_in_all,
           CAST(count(*) FILTER (WHERE {counted}) AS integer) AS impressions,
           CAST(count(*) FILTER (WHERE clicked AND {counted}) AS integer) AS clicks,
           CAST(count(*) FILTER (WHERE converted AND {counted}) AS integer) AS conversions
    FROM exposures
    WHERE phase_id = :phase AND impression_at >= :midnight AND impression_at < :cutoff AND NOT shifted
    GROUP BY arm, unit
) shown
JOIN (
    SELECT arm, unit, first_day, day, {valid}impressions_before AS impressions_before,
           {valid}clicks_before AS clicks_before, {valid}conversions_before AS conversions_before
    FROM unit_days WHERE phase_id = :phase AND day = :day AND NOT two_arms
) before USING (arm, unit)
GROUP BY arm, first_day, day
