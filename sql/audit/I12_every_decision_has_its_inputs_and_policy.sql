-- I12: every decision names a policy that is kept, and the facts it was taken on, none of them later than it.
-- A row is a decision and what is missing. By the guarded rules one to act knows liability, position and price, and since
-- when.
-- By hand: as the head of views.sql shows.
WITH facts AS (
    SELECT *, policy = 'guarded' AND action NOT IN ('hold', 'nothing') AS has_to_know, list_filter(
        ['liability_cents', 'liability_as_of', 'exposure_cents', 'position_as_of', 'price_usd', 'price_as_of'],
        lambda name: (inputs ->> ('$.' || name)) IS NULL
    ) AS unknown, greatest(
        CAST(inputs ->> '$.liability_as_of' AS BIGINT), CAST(inputs ->> '$.position_as_of' AS BIGINT),
        CAST(inputs ->> '$.price_as_of' AS BIGINT), CAST(inputs ->> '$.balance_as_of' AS BIGINT)
    ) AS newest_ms
    FROM decision
),
judged AS (
    SELECT f.*, CASE
        WHEN p.policy_version IS NULL THEN 'its policy is not kept'
        WHEN coalesce(json_array_length(json_keys(f.inputs)), 0) = 0 THEN 'it has no inputs'
        WHEN f.has_to_know AND len(f.unknown) > 0 THEN 'it acts without knowing ' || array_to_string(f.unknown, ', ')
        WHEN f.newest_ms * 1000 > f.as_of_us THEN 'a fact is later than the decision'
    END AS wrong
    FROM facts f LEFT JOIN policy p USING (policy_version)
)
SELECT id, kind, action, wrong, policy_version, as_of_us FROM judged WHERE wrong IS NOT NULL
ORDER BY as_of_us, id;
-- figures: decisions
SELECT count(*) FROM decision;
