-- Writes the days of the touched units that differ from what is stored, and deletes those that are no more.
WITH fresh AS MATERIALIZED (
    /*days*/
), known AS MATERIALIZED (
    SELECT unit_days.* FROM unit_days JOIN touched USING (phase_id, unit)
), gone AS (
    DELETE FROM unit_days
    USING (SELECT phase_id, unit, day, arm FROM known EXCEPT SELECT phase_id, unit, day, arm FROM fresh) past
    WHERE (unit_days.phase_id, unit_days.unit, unit_days.day, unit_days.arm)
        = (past.phase_id, past.unit, past.day, past.arm)
)
INSERT INTO unit_days SELECT * FROM fresh EXCEPT SELECT * FROM known
ON CONFLICT (phase_id, unit, day, arm) DO UPDATE SET
    first_day = excluded.first_day, two_arms = excluded.two_arms, impressions = excluded.impressions,
    clicks = excluded.clicks, conversions = excluded.conversions, impressions_before = excluded.impressions_before,
    clicks_before = excluded.clicks_before, conversions_before = excluded.conversions_before,
    valid_impressions = excluded.valid_impressions, valid_clicks = excluded.valid_clicks,
    valid_conversions = excluded.valid_conversions, valid_impressions_before = excluded.valid_impressions_before,
    valid_clicks_before = excluded.valid_clicks_before,
    valid_conversions_before = excluded.valid_conversions_before
