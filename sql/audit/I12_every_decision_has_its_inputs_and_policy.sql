-- I12: every decision names a policy that is kept, and the facts it was taken on, none of them later than it.
-- A row is a decision and what is missing. A decision to act needs to know liability, position and price, and since
-- when.
-- By hand: as the head of views.sql shows.
WITH facts AS (
    SELECT *, list_filter(
        ['liability_cents', 'liability_as_of', 'exposure_cents', 'position_as_of', 'price_usd', 'price_as_of'],
        lambda name: (inputs ->> ('$.' || name)) IS NULL
    ) AS unknown
    FROM decision
)
SELECT f.id, f.kind, f.action, CASE
    WHEN p.policy_version IS NULL THEN 'its policy is not kept'
    WHEN coalesce(json_array_length(json_keys(f.inputs)), 0) = 0 THEN 'it has no inputs'
    WHEN f.action <> 'hold' AND len(f.unknown) > 0 THEN 'it acts without knowing ' || array_to_string(f.unknown, ', ')
    ELSE 'a fact is later than the decision'
END AS wrong, f.policy_version, f.as_of_us
FROM facts f LEFT JOIN policy p USING (policy_version)
WHERE p.policy_version IS NULL OR coalesce(json_array_length(json_keys(f.inputs)), 0) = 0
    OR (f.action <> 'hold' AND len(f.unknown) > 0)
    OR greatest(
        CAST(f.inputs ->> '$.liability_as_of' AS BIGINT), CAST(f.inputs ->> '$.position_as_of' AS BIGINT),
        CAST(f.inputs ->> '$.price_as_of' AS BIGINT), CAST(f.inputs ->> '$.balance_as_of' AS BIGINT)
    ) * 1000 > f.as_of_us
ORDER BY f.as_of_us, f.id;
-- figures: decisions
SELECT count(*) FROM decision;
