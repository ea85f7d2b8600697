-- the newest texts of the last :days days in which a rule has a finding, with the finding
SELECT texts.id, texts.advertiser, texts.title, texts.state, texts.created_at, finding ->> 'quote' AS quote,
       finding ->> 'severity' AS severity
FROM texts CROSS JOIN LATERAL jsonb_array_elements(texts.findings) AS finding
WHERE texts.created_at >= now() - make_interval(days => :days) AND finding ->> 'rule' = :rule
ORDER BY texts.created_at DESC LIMIT :limit
