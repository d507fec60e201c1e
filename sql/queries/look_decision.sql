-- How was this decided: on which facts, by which rule of which policy, and what was refused?
--   id   its id
SELECT
    d.id, d.as_of, d.book, d.kind, d.venue, d.action, d.amount, d.unit, d.rule, d.reason, d.repeats, d.inputs, d.refused,
    d.policy, d.policy_version, p.body AS policy_body, d.recorded_at
FROM treasury.decision d
JOIN treasury.policy p ON p.version = d.policy_version
WHERE d.id = %(id)s::text;
