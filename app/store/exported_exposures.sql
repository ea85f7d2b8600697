-- Every impression of the time range with its window. `reason` says why an impression is left out, and is NULL where it
-- is exported.
SELECT *,
       CASE WHEN shifted THEN 'clock of another time zone'
            WHEN immature THEN 'immature'
            WHEN no_brief THEN 'text or brief past retention'
            WHEN query IS NULL THEN 'serving row missing'
            WHEN before_written THEN 'shown before its text was written' END AS reason
FROM (
    SELECT serve_id, exposures.text_id, coalesce(window_hours, %(elsewhere)s) AS window_hours, impression_at, click_at,
           conversion_at, exposures.invalid, shifted, repeated_order, servings.query, servings.position,
           briefs.digest IS NULL AS no_brief,
           coalesce(experiments.name || '/' || phases.number || '/' || (phases.arms -> exposures.arm ->> 'name'), '')
               AS arm,
           impression_at + (coalesce(window_hours, %(elsewhere)s) * interval '1 hour') + %(lateness)s > %(as_of)s
               AS immature,
           texts.created_at > impression_at AS before_written
    FROM exposures
    LEFT JOIN servings ON servings.id = serve_id
    LEFT JOIN texts ON texts.id = exposures.text_id
    LEFT JOIN briefs ON briefs.digest = texts.brief_digest
    LEFT JOIN phases ON phases.id = exposures.phase_id
    LEFT JOIN experiments ON experiments.id = experiment_id
    WHERE impression_at >= %(since)s AND impression_at < %(until)s
) shown
