-- I13: no order is larger than the policy of its decision allows.
-- A row is an order with its contracts, which are signed, and the most there may be.
-- By hand: as the head of views.sql shows.
SELECT r.client_id, r.decision_id, CAST(p.body ->> '$.order_contracts_max' AS BIGINT) AS expected,
    CAST(r.body ->> '$.contracts' AS BIGINT) AS found
FROM request r JOIN decision d ON d.id = r.decision_id JOIN policy p USING (policy_version)
WHERE r.kind = 'order' AND r.body ->> '$.action' <> 'close' AND p.body ->> '$.rules' = 'guarded'
    AND abs(CAST(r.body ->> '$.contracts' AS DECIMAL(38, 0))) > CAST(p.body ->> '$.order_contracts_max' AS BIGINT)
ORDER BY r.client_id;
-- figures: orders
SELECT count(*) FROM request WHERE kind = 'order';
