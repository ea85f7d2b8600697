-- Delete tokens whose every event is older than the limit, with those events. The totals of their units are deleted
-- too, and the other tokens of these units are queued, so that the next fold computes the totals again.
WITH deleted AS (
    DELETE FROM exposures WHERE serve_id IN (
        SELECT serve_id FROM exposures
        WHERE greatest(served_at, impression_at, click_at, conversion_at) < :before LIMIT :limit
    ) RETURNING serve_id, phase_id, unit
), deleted_events AS (
    DELETE FROM events USING deleted WHERE events.serve_id = deleted.serve_id RETURNING 1
), units AS (
    SELECT DISTINCT phase_id, unit FROM deleted WHERE phase_id IS NOT NULL
), deleted_totals AS (
    DELETE FROM unit_days USING units WHERE unit_days.phase_id = units.phase_id AND unit_days.unit = units.unit
), queued AS (
    INSERT INTO stale_tokens
    SELECT serve_id FROM exposures JOIN units USING (phase_id, unit)
    WHERE serve_id NOT IN (SELECT serve_id FROM deleted)
)
SELECT (SELECT count(*) FROM deleted) AS exposures, (SELECT count(*) FROM deleted_events) AS events
