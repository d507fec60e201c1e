-- What do statements and books differ in? The worst and the oldest first; amounts are what the outside has more, in minor units.
--   break_id   only this one; NULL for all that are open
SELECT
    b.break_id, b.state, b.kind, b.severity, b.source, b.owner_account AS account, b.currency, b.amount, b.since,
    floor(extract(EPOCH FROM now() - b.since))::BIGINT AS age_seconds,
    b.body ->> 'why' AS why, b.body -> 'line_ids' AS line_ids, b.body -> 'transaction_ids' AS transaction_ids,
    c.asked_by AS correction_asked_by
FROM treasury.recon_break b
LEFT JOIN treasury.correction c ON c.break_id = b.break_id AND c.posted_tx_id IS NULL AND c.withdrawn_at IS NULL
WHERE CASE WHEN %(break_id)s::TEXT IS NULL THEN b.state = 'open' ELSE b.break_id = %(break_id)s END
ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], b.severity), b.since, b.break_id;
