-- Write briefs, counts of candidates and texts of several batches at once. A text that exists keeps its state, except
-- a retired one, which takes the new state.
WITH new_briefs AS (
    INSERT INTO briefs (digest, body) SELECT * FROM unnest(%s::bytea[], %s::jsonb[])
    ON CONFLICT (digest) DO UPDATE SET used_at = now() WHERE briefs.used_at < now() - interval '1 day'
), counted AS (
    INSERT INTO candidate_counts (policy_id, rules_version, day, candidates, compliant, judged, passed)
    SELECT policy, version, (now() AT TIME ZONE 'UTC')::date, n, compliant, judged, passed
    FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        AS counted (policy, version, n, compliant, judged, passed)
    ON CONFLICT (policy_id, rules_version, day) DO UPDATE SET
        candidates = candidate_counts.candidates + excluded.candidates,
        compliant = candidate_counts.compliant + excluded.compliant,
        judged = candidate_counts.judged + excluded.judged,
        passed = candidate_counts.passed + excluded.passed
)
INSERT INTO texts ({columns}) SELECT * FROM unnest({arrays})
ON CONFLICT (id) DO UPDATE SET
    rules_version = excluded.rules_version, findings = excluded.findings,
    state = CASE texts.state WHEN 'retired' THEN excluded.state ELSE texts.state END
RETURNING id, state
