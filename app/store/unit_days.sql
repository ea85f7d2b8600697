-- One row per unit, UTC day of the impression, and arm. Impressions by a clock of another time zone count nowhere.
SELECT phase_id, unit, day, arm, min(day) OVER so_far AS first_day,
       min(arm) OVER anywhere <> max(arm) OVER anywhere AS two_arms, impressions, clicks, conversions,
       CAST(sum(impressions) OVER so_far - impressions AS integer) AS impressions_before,
       CAST(sum(clicks) OVER so_far - clicks AS integer) AS clicks_before,
       CAST(sum(conversions) OVER so_far - conversions AS integer) AS conversions_before,
       valid_impressions, valid_clicks, valid_conversions,
       CAST(sum(valid_impressions) OVER so_far - valid_impressions AS integer) AS valid_impressions_before,
       CAST(sum(valid_clicks) OVER so_far - valid_clicks AS integer) AS valid_clicks_before,
       CAST(sum(valid_conversions) OVER so_far - valid_conversions AS integer) AS valid_conversions_before
FROM (
    SELECT phase_id, unit, CAST(impression_at AT TIME ZONE 'UTC' AS date) AS day, arm,
           CAST(count(*) AS integer) AS impressions,
           CAST(count(*) FILTER (WHERE clicked) AS integer) AS clicks,
           CAST(count(*) FILTER (WHERE converted) AS integer) AS conversions,
           CAST(count(*) FILTER (WHERE NOT invalid) AS integer) AS valid_impressions,
           CAST(count(*) FILTER (WHERE clicked AND NOT invalid) AS integer) AS valid_clicks,
           CAST(count(*) FILTER (WHERE converted AND NOT invalid) AS integer) AS valid_conversions
    FROM exposures /*only touched*/
    WHERE impression_at IS NOT NULL AND phase_id IS NOT NULL AND NOT shifted
    GROUP BY phase_id, unit, day, arm
) days
WINDOW so_far AS (PARTITION BY phase_id, unit, arm ORDER BY day), anywhere AS (PARTITION BY phase_id, unit)
