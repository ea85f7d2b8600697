-- What a day adds to the sums over units. With b before the day and x on it, the day raises a unit's square by
-- (b + x)² - b² = x · (2b + x), and a product of two counts likewise.
sum(CAST(impressions_before = 0 AND impressions > 0 AS integer)) AS n,
sum(impressions) AS impressions, sum(clicks) AS clicks, sum(conversions) AS conversions,
sum(CAST(impressions AS float8) * (2 * impressions_before + impressions)) AS sum_ii,
sum(CAST(clicks AS float8) * (2 * clicks_before + clicks)) AS sum_cc,
sum(CAST(conversions AS float8) * (2 * conversions_before + conversions)) AS sum_vv,
sum(CAST(impressions AS float8) * (clicks_before + clicks) + CAST(impressions_before AS float8) * clicks) AS sum_ic,
sum(CAST(impressions AS float8) * (conversions_before + conversions)
    + CAST(impressions_before AS float8) * conversions) AS sum_iv,
sum(CAST(clicks AS float8) * (conversions_before + conversions)
    + CAST(clicks_before AS float8) * conversions) AS sum_cv
