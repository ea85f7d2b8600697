-- Delete briefs that were last used before the limit, retire their pooled texts, and notify the pool of every replica.
WITH deleted AS (
    DELETE FROM briefs WHERE digest IN (SELECT digest FROM briefs WHERE used_at < :before LIMIT :limit)
        AND used_at < :before -- checked again: it may have been used while this statement waited for the row
    RETURNING digest
), retired AS (
    UPDATE texts SET state = 'retired' FROM deleted
    WHERE brief_digest = deleted.digest AND state IN ('approved', 'review')
    RETURNING pool_key
), notified AS (
    SELECT pg_notify(:channel, 'pool:' || encode(pool_key, 'hex'))
    FROM (SELECT DISTINCT pool_key FROM retired) pool_keys
)
SELECT (SELECT count(*) FROM deleted) AS briefs, (SELECT count(*) FROM retired) AS texts_retired
FROM (SELECT count(*) FROM notified) every_notification
