-- What was decided last, of each kind, why, and when, in epoch milliseconds?
SELECT d.kind, d.action, d.rule, d.reason, (extract(EPOCH FROM d.as_of) * 1000)::BIGINT AS as_of
FROM treasury.tally k
CROSS JOIN LATERAL (
    SELECT l.kind, l.action, l.rule, l.reason, l.as_of
    FROM treasury.decision l
    WHERE l.kind = k.label
    ORDER BY l.as_of DESC, l.recorded_at DESC
    LIMIT 1
) d
WHERE k.subject = 'decision'
ORDER BY d.kind;
