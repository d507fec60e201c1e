-- What was asked of the outside by this decision?
--   id   the id of the decision
SELECT r.client_id
FROM treasury.request r
WHERE r.decision_id = %(id)s::text
ORDER BY r.reserved_at, r.client_id;
