-- Write the staged events, and queue their tokens for the fold. Returns the events that existed already. An event_id
-- that another event has is marked `reused`; repetitions inside one batch are marked before they are staged.
WITH new AS (
    INSERT INTO events (
        serve_id, kind, event_id, unit, phase_id, arm, text_id, policy_id, source, served_at, occurred_at, value,
        currency, order_id, corrects, invalid_reason, reused
    )
    SELECT serve_id, kind, event_id, unit, phase_id, arm, text_id, policy_id, source, served_at, occurred_at, value,
           currency, order_id, corrects, invalid_reason,
           reused OR EXISTS (
               SELECT FROM events known
               WHERE known.event_id = staged_events.event_id
                     AND (known.serve_id, known.kind) <> (staged_events.serve_id, staged_events.kind)
           )
    FROM staged_events
    ON CONFLICT (serve_id, kind, event_id) DO NOTHING
    RETURNING serve_id, kind, event_id
), queued AS (
    INSERT INTO stale_tokens (serve_id) SELECT serve_id FROM new
)
SELECT event_id, serve_id, kind FROM staged_events EXCEPT SELECT event_id, serve_id, kind FROM new
