-- Approved texts with what was reported about them, most often served since :since first. Without an advertiser: the
-- texts served since then; of one advertiser: all of its approved texts.
WITH recent AS (
    SELECT text_id, count(*) AS servings FROM servings WHERE at >= :since AND text_id IS NOT NULL GROUP BY text_id
), shown AS (
    SELECT texts.*, policies.version AS policy, briefs.body ->> 'query' AS query, coalesce(servings, 0) AS servings
    FROM {texts}
    JOIN policies ON policies.id = texts.policy_id
    LEFT JOIN briefs ON briefs.digest = texts.brief_digest
    WHERE state = 'approved'
        AND (CAST(:advertiser AS text) IS NULL OR advertiser = :advertiser)
        AND (CAST(:query AS text) IS NULL OR strpos(lower(briefs.body ->> 'query'), lower(:query)) > 0)
    ORDER BY servings DESC, texts.created_at DESC, texts.id
    LIMIT :limit
)
SELECT shown.*, reported.*
FROM shown CROSS JOIN LATERAL (
    SELECT count(*) AS impressions, count(*) FILTER (WHERE clicked) AS clicks,
           count(*) FILTER (WHERE converted) AS conversions
    FROM exposures
    WHERE text_id = shown.id AND impression_at IS NOT NULL AND NOT invalid AND NOT shifted
) reported
ORDER BY shown.servings DESC, shown.created_at DESC, shown.id
