-- What was refused under a name, why, and is it booked under that name?
--   kinds     of these kinds
--   word_id   its id
--   tx_id     the id of its posting
SELECT r.kind, r.reason, t.tx_id IS NOT NULL AS is_booked
FROM (SELECT) one
LEFT JOIN settlement.refusal r ON r.kind = ANY (%(kinds)s::text[]) AND r.word_id = %(word_id)s::text
LEFT JOIN ledger.tx t ON t.tx_id = %(tx_id)s::uuid
ORDER BY r.recorded_at;
