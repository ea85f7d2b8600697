-- Pairs of texts that two policies serve for one brief: one text of each, drawn by the seed, briefs in drawn order.
WITH drawn AS (
    SELECT DISTINCT ON (texts.brief_digest, platform, version)
           texts.brief_digest, platform, version, locale, advertiser, title, description, description_2
    FROM texts JOIN policies ON policies.id = texts.policy_id
    WHERE state = 'approved' AND origin <> 'advertiser' AND version IN (:policy, :baseline)
        AND (CAST(:locale AS text) IS NULL OR locale = :locale)
    ORDER BY texts.brief_digest, platform, version, md5(:seed || texts.id::text)
)
SELECT one.brief_digest, one.platform, one.locale, one.advertiser, briefs.body AS brief,
       one.title, one.description, one.description_2,
       other.title AS other_title, other.description AS other_description, other.description_2 AS other_description_2
FROM drawn one
JOIN drawn other ON other.brief_digest = one.brief_digest AND other.platform = one.platform
JOIN briefs ON briefs.digest = one.brief_digest
WHERE one.version = :policy AND other.version = :baseline
ORDER BY md5(:seed || encode(one.brief_digest, 'hex') || one.platform)
LIMIT :limit
