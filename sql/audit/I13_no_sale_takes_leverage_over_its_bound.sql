-- I13: no sale makes the short larger than the collateral carries at the highest leverage, by the facts it was decided
-- on.
-- A row is a decision to sell with the short that it makes, and the most that there may be, both in millionths of a
-- cent.
-- By hand: as the head of views.sql shows.
WITH sale AS (
    SELECT d.id, d.venue, d.amount,
        -1000000 * (
            CAST(d.inputs ->> '$.exposure_cents' AS DECIMAL(30, 0)) + CAST(d.amount AS DECIMAL(26, 0)) * 10000
        ) AS short,
        TRY(
            CAST(d.inputs ->> '$.trading_equity_sats' AS DECIMAL(17, 0))
            * CAST(d.inputs ->> '$.price_usd' AS DECIMAL(14, 6))
            * CAST(p.body ->> '$.funding.high_bound_ratio_leverage' AS DECIMAL(7, 4))
        ) AS carried
    FROM decision d JOIN policy p USING (policy_version)
    WHERE d.action = 'sell' AND d.policy = 'guarded'
)
SELECT id, venue, amount, carried AS expected, short AS found FROM sale WHERE short > 0 AND short > carried
ORDER BY id;
-- figures: sales
SELECT count(*) FROM decision WHERE action = 'sell' AND policy = 'guarded';
