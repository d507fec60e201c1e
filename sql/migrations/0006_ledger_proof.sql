-- depends: 0005_ledger_reading

-- The hash of every batch, computed again from its rows: a batch that is not intact was changed after it was written.

-- What was hashed of a batch: headers, entries, rejections and conflicts.
CREATE VIEW ledger.batch_lines AS
SELECT
    b.batch_id,
    convert_to(
        coalesce(h.lines, '') || coalesce(e.lines, '') || coalesce(r.lines, '') || coalesce(c.lines, ''), 'UTF8'
    ) AS lines
FROM ledger.batch b
LEFT JOIN LATERAL (
    SELECT string_agg(
        concat_ws(
            E'\t', t.tx_id, t.template, (extract(EPOCH FROM t.effective_at) * 1000)::BIGINT, t.correlation_id,
            coalesce(t.relation || ' ' || t.cause_tx_id, '-'), t.source, t.source_offset, encode(t.body_hash, 'hex')
        ) || E'\n', '' ORDER BY t.position
    ) AS lines
    FROM ledger.tx t WHERE t.batch_id = b.batch_id
) h ON TRUE
LEFT JOIN LATERAL (
    SELECT string_agg(
        concat_ws(
            E'\t', n.tx_id, n.version, n.account_id, n.leg, n.layer, n.side, n.currency, n.amount, n.balance_after
        ) || E'\n', '' ORDER BY t.position, n.leg
    ) AS lines
    FROM ledger.tx t JOIN ledger.entry n USING (tx_id) WHERE t.batch_id = b.batch_id
) e ON TRUE
LEFT JOIN LATERAL (
    SELECT string_agg(
        concat_ws(
            E'\t', j.tx_id, j.reason, coalesce(j.account, '\N'), coalesce(j.currency, '\N'),
            coalesce(j.shortfall::TEXT, '\N'), j.template, j.source, j.source_offset, encode(j.body_hash, 'hex'),
            encode(sha256(convert_to(j.payload::TEXT, 'UTF8')), 'hex')
        ) || E'\n', '' ORDER BY j.position
    ) AS lines
    FROM ledger.reject j WHERE j.batch_id = b.batch_id
) r ON TRUE
LEFT JOIN LATERAL (
    SELECT string_agg(
        concat_ws(
            E'\t', j.tx_id, encode(j.body_hash, 'hex'), j.template, j.source, j.source_offset,
            encode(sha256(convert_to(j.payload::TEXT, 'UTF8')), 'hex')
        ) || E'\n', ''
        ORDER BY j.tx_id, j.body_hash
    ) AS lines
    FROM ledger.conflict j WHERE j.batch_id = b.batch_id
) c ON TRUE;

CREATE VIEW ledger.chain AS
SELECT
    b.batch_id,
    b.shard,
    b.hash = sha256(b.prev_hash || sha256(l.lines) || convert_to(ledger.batch_facts(b), 'UTF8')) AS is_intact,
    b.prev_hash = lag(b.hash, 1, decode(repeat('00', 32), 'hex')) OVER (
        PARTITION BY b.shard ORDER BY b.batch_id
    ) AS is_linked
FROM ledger.batch b
JOIN ledger.batch_lines l USING (batch_id);

GRANT SELECT ON ledger.chain TO ballast_executor;
