-- How far has each symbol come? Its last settled number, when that was in epoch milliseconds, and the last number that had its turn,
-- settled or refused. It takes the same time however many trades there are: the index has texts in the database's own collation.
SELECT i.symbol, i.status, s.sequence AS last_sequence, s.settled_at AS last_settled_at,
    greatest(coalesce(s.sequence, 0), coalesce(f.sequence, 0)) AS last_turn
FROM settlement.v_instruments i
LEFT JOIN LATERAL (
    SELECT (t.meta ->> 'sequence')::bigint AS sequence, (extract(EPOCH FROM t.effective_at) * 1000)::BIGINT AS settled_at
    FROM ledger.tx t
    WHERE t.template = 'TRADE_SETTLED' AND t.meta ->> 'symbol' = i.symbol COLLATE "default"
    ORDER BY (t.meta ->> 'sequence')::bigint DESC
    LIMIT 1
) s ON TRUE
LEFT JOIN LATERAL (
    SELECT r.sequence
    FROM settlement.refusal r
    WHERE r.kind = 'trade' AND r.symbol = i.symbol AND r.reason NOT IN ('wrong_hash', 'broken_link', 'sequence_taken')
    ORDER BY r.sequence DESC
    LIMIT 1
) f ON TRUE
ORDER BY i.symbol;
