-- What units seen in two arms of a phase added on each day: they are subtracted from the arm-days.
SELECT arm, first_day, day, {increments}, 0 AS units_in_two_arms, sum(impressions_in_all) AS impressions_in_all
FROM (
    SELECT arm, first_day, day, impressions AS impressions_in_all, {valid}impressions AS impressions,
           {valid}clicks AS clicks, {valid}conversions AS conversions,
           {valid}impressions_before AS impressions_before, {valid}clicks_before AS clicks_before,
           {valid}conversions_before AS conversions_before
    FROM unit_days WHERE phase_id = :phase AND two_arms
) units
GROUP BY arm, first_day, day
