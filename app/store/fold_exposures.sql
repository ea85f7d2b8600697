-- One row per token, from all of its events: abtest.attribution in SQL. Kinds: 0 impression, 1 click, 2 conversion,
-- 3 retraction. Every token keeps a row, also when all of its events were taken back.
WITH told AS /*at once*/ (
    SELECT events.* FROM events /*only stale*/
), aimed AS MATERIALIZED (
    -- corrections with the kind of event that they correct; NULL while that event has not arrived
    SELECT later.serve_id, later.kind, later.event_id, later.corrects, later.occurred_at, later.value, later.order_id,
           later.invalid_reason, original.kind AS target
    FROM told later
    CROSS JOIN LATERAL (
        SELECT CASE WHEN later.kind < 3 THEN max(kind) FILTER (WHERE kind = later.kind)
                    WHEN max(kind) = 2 OR count(*) = 1 THEN max(kind) END AS kind
        FROM events
        WHERE serve_id = later.serve_id AND event_id = later.corrects AND corrects IS NULL
    ) original
    WHERE later.corrects IS NOT NULL
), corrections AS MATERIALIZED (
    SELECT DISTINCT ON (serve_id, target, corrects)
           serve_id, target AS kind, corrects AS event_id, occurred_at, kind = 3 AS retracted, value, order_id,
           invalid_reason
    FROM aimed
    ORDER BY serve_id, target, corrects, occurred_at DESC, kind DESC, event_id DESC
), tokens AS (
    SELECT serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at,
           min(occurred_at) FILTER (WHERE kind = 0 AND NOT machine) AS seen_at,
           min(occurred_at) FILTER (WHERE kind = 0) AS loaded_at,
           min(occurred_at) FILTER (WHERE kind = 1 AND NOT machine) AS clicked_at,
           min(occurred_at) FILTER (WHERE kind = 1) AS fetched_at,
           min(occurred_at) FILTER (WHERE kind = 2) AS conversion_at,
           (array_agg(value ORDER BY occurred_at, event_id) FILTER (WHERE kind = 2))[1] AS value,
           (array_agg(order_id ORDER BY occurred_at, event_id) FILTER (WHERE kind = 2))[1] AS order_id,
           bool_or(flagged AND NOT machine) AS flagged,
           bool_or(machine AND kind IS NOT NULL) AS machine,
           count(*) AS events,
           count(*) FILTER (WHERE reused) AS reused_ids
    FROM (
        SELECT event.serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, event.event_id,
               event.occurred_at, reused, event.event_id = 'pixel/machine' AS machine,
               CASE WHEN corrects IS NULL AND latest.retracted IS NOT TRUE THEN event.kind END AS kind,
               CASE WHEN latest.event_id IS NULL THEN event.value ELSE latest.value END AS value,
               coalesce(latest.order_id, event.order_id) AS order_id,
               corrects IS NULL AND latest.retracted IS NOT TRUE AND CASE
                   WHEN latest.event_id IS NULL THEN event.invalid_reason ELSE latest.invalid_reason
               END IS NOT NULL AS flagged
        FROM told event
        LEFT JOIN corrections latest
            ON latest.serve_id = event.serve_id AND latest.kind = event.kind AND latest.event_id = event.event_id
            AND latest.occurred_at >= event.occurred_at AND corrects IS NULL
    ) standing
    GROUP BY serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at
), timed AS (
    SELECT tokens.*, coalesce(seen_at, loaded_at) AS impression_at,
           CASE WHEN seen_at IS NULL THEN fetched_at ELSE clicked_at END AS click_at,
           seen_at IS NULL AND machine AS machine_only,
           coalesce(windows.attribution_window, CAST(:elsewhere AS interval)) AS attribution_window
    FROM tokens
    LEFT JOIN (
        SELECT phases.id AS phase_id, window_hours * interval '1 hour' AS attribution_window
        FROM phases JOIN experiments ON experiments.id = experiment_id
    ) windows USING (phase_id)
), judged AS (
    SELECT timed.*, counted.*,
           -- a conversion from a clock of seconds, minutes or hours may be later by up to:
           CASE WHEN conversion_at IS NULL OR conversion_at <> date_trunc('second', conversion_at) THEN interval '0'
                WHEN conversion_at <> date_trunc('minute', conversion_at) THEN interval '1 second'
                WHEN extract(minute FROM conversion_at) % 15 <> 0 THEN interval '1 minute'
                ELSE interval '1 hour' END AS slack
    FROM timed
    CROSS JOIN LATERAL (
        SELECT coalesce(round(delay / 3600) BETWEEN 1 AND :furthest
                        AND abs(delay - 3600 * round(delay / 3600)) <= 60, false) AS shifted,
               coalesce(impression_at <> date_trunc('second', impression_at), false) AS fine_impression,
               coalesce(click_at <> date_trunc('second', click_at), false) AS fine_click
        FROM (SELECT extract(epoch FROM impression_at - served_at) AS delay) seconds
    ) counted
), ordered AS (
    SELECT judged.*,
           coalesce(NOT shifted AND click_at < impression_at + attribution_window, false) AS clicked,
           coalesce(NOT shifted AND conversion_at < impression_at + attribution_window
                    AND (impression_at <= conversion_at OR fine_impression AND impression_at < conversion_at + slack),
                    false) AS in_window,
           coalesce(click_at <= conversion_at OR fine_click AND click_at < conversion_at + slack, false) AS after_click
    FROM judged
)
INSERT INTO exposures (
    serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, impression_at, click_at, conversion_at, value,
    order_advertiser, order_id, clicked, converted, view_through, repeated_order, shifted, invalid, events, reused_ids,
    unmatched_corrections
)
SELECT serve_id, unit, phase_id, arm, text_id, policy_id, source, served_at, impression_at, click_at, conversion_at,
       value,
       -- a text that is not there stands for an advertiser of its own
       CASE WHEN order_id IS NOT NULL THEN
           coalesce((SELECT advertiser FROM texts WHERE texts.id = text_id), CAST(text_id AS text))
       END,
       order_id, clicked, in_window AND clicked AND after_click, in_window AND NOT (clicked AND after_click), false,
       shifted,
       coalesce(flagged, false) OR machine_only OR (click_at IS NOT NULL AND impression_at IS NULL)
           OR coalesce(fine_impression AND fine_click AND click_at >= impression_at
                       AND click_at < impression_at + CAST(:fastest AS interval), false),
       events, reused_ids,
       (SELECT count(*) FROM aimed WHERE aimed.serve_id = ordered.serve_id AND target IS NULL)
FROM ordered
ON CONFLICT (serve_id) DO UPDATE SET
    served_at = excluded.served_at, impression_at = excluded.impression_at, click_at = excluded.click_at,
    conversion_at = excluded.conversion_at, value = excluded.value, order_advertiser = excluded.order_advertiser,
    order_id = excluded.order_id, clicked = excluded.clicked, converted = excluded.converted,
    view_through = excluded.view_through, repeated_order = excluded.repeated_order, shifted = excluded.shifted,
    invalid = excluded.invalid, events = excluded.events, reused_ids = excluded.reused_ids,
    unmatched_corrections = excluded.unmatched_corrections
