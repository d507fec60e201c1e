-- I10: by the facts that it was taken on, a decision that the short is in its band was taken within the band of its
-- policy, and an order to bring it back was not.
-- A row is a decision with what it says and what its facts say. One whose facts are not there is another check's.
-- By hand: as the head of views.sql shows.
WITH taken AS (
    SELECT d.id, d.venue, d.rule, d.as_of_us,
        -CAST(d.inputs ->> '$.exposure_cents' AS DECIMAL(24, 4)) AS short,
        CAST(d.inputs ->> '$.liability_cents' AS DECIMAL(24, 0)) AS liability,
        CAST(p.body ->> '$.hedge.low_bound_ratio_shorting' AS DECIMAL(12, 8)) AS low,
        CAST(p.body ->> '$.hedge.high_bound_ratio_shorting' AS DECIMAL(12, 8)) AS high
    FROM decision d JOIN policy p USING (policy_version)
    WHERE d.kind = 'hedge' AND d.rule IN ('in_band', 'below_low_bound', 'above_high_bound')
),
judged AS (
    SELECT *, CASE
        WHEN short < low * liability THEN 'below_low_bound'
        WHEN short > high * liability THEN 'above_high_bound'
        ELSE 'in_band'
    END AS found
    FROM taken
)
SELECT id, venue, rule AS said, found, short AS short_cents, liability AS liability_cents, low, high, as_of_us FROM judged
WHERE rule <> found AND short IS NOT NULL AND liability IS NOT NULL
ORDER BY as_of_us, id;
-- figures: decisions about the band
SELECT count(*) FROM decision WHERE kind = 'hedge' AND rule IN ('in_band', 'below_low_bound', 'above_high_bound');
