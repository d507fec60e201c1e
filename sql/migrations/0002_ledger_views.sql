-- depends: 0001_ledger

-- What analysts read: codes instead of ids, names instead of numbers, debits and credits in columns of their own.

CREATE FUNCTION ledger.layer_name(layer SMALLINT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE layer WHEN 1 THEN 'settled' WHEN 2 THEN 'pending' ELSE 'encumbered' END
$$;

-- Every entry with its transaction: a statement is this, for one account, in order of version.
CREATE VIEW ledger.entries AS
SELECT
    a.code AS account,
    e.currency,
    e.version,
    t.effective_at,
    b.recorded_at,
    t.template,
    ledger.layer_name(e.layer) AS layer,
    CASE WHEN e.side = 1 THEN e.amount END AS debit,
    CASE WHEN e.side = -1 THEN e.amount END AS credit,
    e.side * e.amount AS moved,
    e.balance_after,
    a.normal_side * e.balance_after AS normal_balance_after,
    e.tx_id,
    e.leg,
    t.correlation_id,
    t.reverses,
    t.source,
    t.source_offset,
    t.batch_id,
    t.position,
    a.journal
FROM ledger.entry e
JOIN ledger.tx t USING (tx_id)
JOIN ledger.batch b USING (batch_id)
JOIN ledger.account a USING (account_id);

-- Every transaction, in the order in which they were executed if ordered by (batch_id, position).
CREATE VIEW ledger.transactions AS
SELECT
    t.tx_id,
    t.template,
    t.effective_at,
    b.recorded_at,
    t.n_entries,
    t.correlation_id,
    t.reverses,
    r.tx_id AS reversed_by,
    t.source,
    t.source_offset,
    t.batch_id,
    t.position,
    t.meta
FROM ledger.tx t
JOIN ledger.batch b USING (batch_id)
LEFT JOIN ledger.resolution r ON r.cause_tx_id = t.tx_id AND r.relation = 'reversed';

-- One row per account and currency; amounts in the account's normal direction, in minor units.
CREATE VIEW ledger.balances AS
SELECT
    a.code AS account,
    b.currency,
    a.journal,
    a.status,
    b.version,
    a.normal_side * (b.settled_debit - b.settled_credit) AS settled,
    a.normal_side * (b.pending_debit - b.pending_credit) AS pending,
    a.normal_side * (b.encumbered_debit - b.encumbered_credit) AS encumbered,
    CASE a.normal_side
        WHEN 1 THEN b.settled_debit - b.settled_credit - b.pending_credit - b.encumbered_credit
        ELSE b.settled_credit - b.settled_debit - b.pending_debit - b.encumbered_debit
    END AS available,
    b.min_available,
    b.max_balance,
    a.meaning
FROM ledger.balance b
JOIN ledger.account a USING (account_id);

CREATE VIEW ledger.balances_by_layer AS
SELECT
    a.code AS account,
    b.currency,
    ledger.layer_name(l.layer) AS layer,
    l.debit,
    l.credit,
    a.normal_side * (l.debit - l.credit) AS balance,
    b.version
FROM ledger.balance b
JOIN ledger.account a USING (account_id)
CROSS JOIN LATERAL (
    VALUES (1::SMALLINT, b.settled_debit, b.settled_credit),
    (2::SMALLINT, b.pending_debit, b.pending_credit),
    (3::SMALLINT, b.encumbered_debit, b.encumbered_credit)
) AS l (layer, debit, credit);

-- Debits and credits of every journal, currency and layer; each pair has to be equal.
CREATE VIEW ledger.trial_balance AS
SELECT
    a.journal,
    l.currency,
    l.layer,
    sum(l.debit) AS debits,
    sum(l.credit) AS credits,
    sum(l.debit) = sum(l.credit) AS is_balanced
FROM ledger.balances_by_layer l
JOIN ledger.account a ON a.code = l.account
GROUP BY a.journal, l.currency, l.layer;

-- Balances by the date on which things happened, whenever they were recorded.
CREATE VIEW ledger.effective_balances AS
SELECT
    a.code AS account,
    d.currency,
    ledger.layer_name(d.layer) AS layer,
    d.effective_date,
    a.normal_side * sum(sum(d.delta)) OVER (
        PARTITION BY d.account_id, d.currency, d.layer ORDER BY d.effective_date
    ) AS balance
FROM ledger.effective_delta d
JOIN ledger.account a USING (account_id)
GROUP BY d.account_id, a.code, a.normal_side, d.currency, d.layer, d.effective_date;

CREATE VIEW ledger.rejected AS
SELECT
    r.tx_id,
    r.template,
    r.reason,
    r.account,
    r.currency,
    r.shortfall,
    b.recorded_at,
    r.source,
    r.source_offset,
    r.batch_id,
    r.position,
    r.payload
FROM ledger.reject r
JOIN ledger.batch b USING (batch_id);

-- The hash of every batch, computed again from its rows: a batch that is not intact was changed after it was written.
CREATE VIEW ledger.chain AS
SELECT
    b.batch_id,
    b.shard,
    b.hash = sha256(
        b.prev_hash || convert_to(coalesce(h.lines, '') || coalesce(e.lines, '') || coalesce(r.lines, ''), 'UTF8')
    ) AS is_intact,
    b.prev_hash = lag(b.hash, 1, decode(repeat('00', 32), 'hex')) OVER (
        PARTITION BY b.shard ORDER BY b.batch_id
    ) AS is_linked
FROM ledger.batch b
LEFT JOIN LATERAL (
    SELECT string_agg(
        concat_ws(
            E'\t', t.tx_id, t.template, (extract(EPOCH FROM t.effective_at) * 1000)::BIGINT, t.correlation_id,
            coalesce(t.reverses::TEXT, '-'), t.source, t.source_offset, encode(t.body_hash, 'hex')
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
        concat_ws(E'\t', j.tx_id, j.reason, encode(j.body_hash, 'hex')) || E'\n', '' ORDER BY j.position
    ) AS lines
    FROM ledger.reject j WHERE j.batch_id = b.batch_id
) r ON TRUE;
