-- how often each rule has a finding in texts of the last :days days, and what reviewers decided about those texts;
-- of one advertiser where :advertiser is not null
SELECT rule, count(*) AS texts, count(reviewed_at) AS decided,
       count(*) FILTER (WHERE reviewed_at IS NOT NULL AND state = 'approved') AS overruled
FROM (
    SELECT DISTINCT texts.id, texts.state, texts.reviewed_at, finding ->> 'rule' AS rule
    FROM texts CROSS JOIN LATERAL jsonb_array_elements(texts.findings) AS finding
    WHERE texts.created_at >= now() - make_interval(days => :days)
          AND (CAST(:advertiser AS text) IS NULL OR texts.advertiser = :advertiser)
) found
GROUP BY rule
