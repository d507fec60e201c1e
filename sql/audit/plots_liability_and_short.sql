-- What users were owed, and the short that stands against it, in cents after each batch by the time it was recorded.
WITH moves AS (
    SELECT b.recorded_at_us AS at_us, b.batch_id,
        sum(m.moved) FILTER (WHERE coalesce(p.code, a.code) = 'STABLESATS_OMNIBUS') AS owed,
        sum(m.moved) FILTER (WHERE coalesce(p.code, a.code) = 'POSITION') AS short
    FROM moved m JOIN batch b USING (batch_id) JOIN account a USING (account_id)
    LEFT JOIN account p ON p.account_id = a.parent_id
    WHERE m.layer = 1 GROUP BY b.recorded_at_us, b.batch_id
)
SELECT at_us, sum(coalesce(owed, 0)) OVER line AS liability_cents, sum(coalesce(short, 0)) OVER line AS short_cents
FROM moves WINDOW line AS (ORDER BY at_us, batch_id ROWS UNBOUNDED PRECEDING)
ORDER BY at_us, batch_id;
