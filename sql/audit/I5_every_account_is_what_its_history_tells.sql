-- I5: every account is what the newest change of it says, and the changes are a chain of hashes.
-- A row is an account, or a change by its number, with what its history says and what stands there.
-- By hand: as the head of views.sql shows.
WITH linked AS (
    SELECT revision, hash, sha256(concat_ws(
        chr(9), lag(hash, 1, repeat('0', 64)) OVER (ORDER BY revision), revision, facts, changed_at_us, changed_by
    )) AS hashed
    FROM account_change
),
newest AS (
    SELECT CAST(facts ->> '$[0]' AS BIGINT) AS account_id, arg_max(facts, revision) AS facts
    FROM account_change GROUP BY 1
),
standing AS (
    SELECT account_id, code, [
        account_id::VARCHAR, code, journal, normal_side::VARCHAR, currency, status, min_available::VARCHAR,
            max_balance::VARCHAR,
        shard::VARCHAR, parent_id::VARCHAR, is_summary::VARCHAR, meaning, opened_at_us::VARCHAR
    ] AS facts
    FROM account
)
SELECT coalesce(account_id::VARCHAR, '') AS name, s.code AS account,
    CAST(from_json(n.facts, '["VARCHAR"]') AS VARCHAR) AS expected,
    CAST(s.facts AS VARCHAR) AS found
FROM standing s FULL JOIN newest n USING (account_id)
WHERE s.facts IS DISTINCT FROM from_json(n.facts, '["VARCHAR"]')
UNION ALL
SELECT 'change ' || revision, NULL, hashed, hash FROM linked WHERE hash <> hashed
ORDER BY 1;
-- figures: accounts and changes
SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM account_change);
