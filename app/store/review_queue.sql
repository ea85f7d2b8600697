-- Texts that wait for this reviewer: those in review, and sampled decisions of others that ask for a second opinion.
-- What another reviewer has open is left out; what this one has open comes first, then the oldest.
WITH waiting AS (
    SELECT id AS text_id, created_at AS since, NULL::bigint AS second_of FROM texts WHERE state = 'review'
    UNION ALL
    SELECT text_id, decided_at, id FROM review_decisions WHERE wants_second AND key_id <> :key_id
)
SELECT texts.*, policies.version AS policy, briefs.body, waiting.since, waiting.second_of,
       review_locks.key_id IS NOT NULL AS is_open
FROM waiting
JOIN texts ON texts.id = waiting.text_id
JOIN policies ON policies.id = texts.policy_id
LEFT JOIN briefs ON briefs.digest = texts.brief_digest
LEFT JOIN review_locks ON review_locks.text_id = texts.id AND review_locks.expires_at > now()
WHERE coalesce(review_locks.key_id, :key_id) = :key_id
    AND (CAST(:advertiser AS text) IS NULL OR texts.advertiser = :advertiser)
    AND (CAST(:language AS text) IS NULL OR left(texts.locale, 2) = :language)
    AND (CAST(:product AS text) IS NULL OR texts.products ? :product)
    AND (CAST(:text_id AS uuid) IS NULL OR texts.id = :text_id)
ORDER BY is_open DESC, waiting.since, texts.id
LIMIT :limit
