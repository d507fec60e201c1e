-- A history as long as one likes, written past the triggers, with the tallies as they would have counted it: batches number
-- `first` to `last`, each with a transaction, a rejection, a decision and a message in quarantine.
INSERT INTO ledger.batch (
    batch_id, shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, hash,
    content_hash, accounts_hash
) OVERRIDING SYSTEM VALUE
SELECT 1000 + n, 0, 1, 1, 2, 0, 0, 1, '{}', sha256(n::TEXT::BYTEA), sha256((n + 1)::TEXT::BYTEA),
    sha256(n::TEXT::BYTEA), sha256('')
FROM generate_series(%(first)s, %(last)s) n;

INSERT INTO ledger.tx (
    tx_id, batch_id, source_offset, effective_at, position, n_entries, correlation_id, template, source, body_hash, meta
)
SELECT md5('tx' || n)::UUID, 1000 + n, n, now(), 1, 2, md5('matter' || n)::UUID, 'USER_BUYS_USD', 's', decode(md5(''), 'hex'), '{}'
FROM generate_series(%(first)s, %(last)s) n;

INSERT INTO ledger.entry (tx_id, version, account_id, leg, layer, side, currency, amount, balance_after)
SELECT md5('tx' || n)::UUID, n, l.leg, l.leg, 1, l.side, 'USD', 1, l.side * n
FROM generate_series(%(first)s, %(last)s) n CROSS JOIN (VALUES (1, 1), (2, -1)) AS l (leg, side);

INSERT INTO ledger.reject (tx_id, batch_id, position, reason, template, source, source_offset, body_hash, payload)
SELECT md5('reject' || n)::UUID, 1000 + n, 1, 'over_limit', 'FILL', 's', n, decode(md5(''), 'hex'), '{}'
FROM generate_series(%(first)s, %(last)s) n;

INSERT INTO ledger.tally AS t (shard, template, outcome, n)
SELECT 0, k.template, k.outcome, 1 + %(last)s - %(first)s
FROM (VALUES ('USER_BUYS_USD', 'posted'), ('FILL', 'rejected')) AS k (template, outcome)
ON CONFLICT (shard, template, outcome) DO UPDATE SET n = t.n + excluded.n;

INSERT INTO treasury.policy (version, body) VALUES ('v1', '{}') ON CONFLICT DO NOTHING;

INSERT INTO treasury.decision (
    id, kind, book, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, as_of
)
SELECT 'history ' || n, (ARRAY['hedge', 'funding'])[1 + n %% 2], 'main', 'v', 'guarded', 'v1', 'hold', 'rule', 'r', 0, 'none', '{}', '[]',
    TIMESTAMPTZ '2024-05-01 00:00Z' + n * INTERVAL '1 second'
FROM generate_series(%(first)s, %(last)s) n;

INSERT INTO treasury.quarantine (topic, partition, "offset", reason, detail, raw)
SELECT 'market.ticks', 0, n, 'not_json', '', 'x' FROM generate_series(%(first)s, %(last)s) n;

INSERT INTO treasury.tally AS t (subject, label, n)
SELECT k.subject, k.label, 1 + %(last)s - %(first)s
FROM (VALUES ('decision', 'hedge'), ('decision', 'funding'), ('hold', 'hedge/rule'), ('quarantine', 'market.ticks')) AS k (subject, label)
ON CONFLICT (subject, label) DO UPDATE SET n = t.n + excluded.n;
