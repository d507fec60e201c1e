-- Which decision of the same book and kind, not held, was recorded before this one, and what did it know of the liability?
--   id   the id of this one
SELECT b.id, b.inputs -> 'liability_version' AS liability_version, b.inputs -> 'liability_as_of' AS liability_as_of
FROM treasury.decision d
JOIN treasury.decision b ON b.book = d.book AND b.kind = d.kind AND (b.as_of, b.id) < (d.as_of, d.id)
WHERE d.id = %(id)s::text AND b.action <> 'hold'
ORDER BY b.as_of DESC, b.id DESC
LIMIT 1;
