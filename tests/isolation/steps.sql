-- What the steps of the specs call: the statements of a writer, cut where another session may come in between.
CREATE SCHEMA spec;
GRANT USAGE ON SCHEMA spec TO PUBLIC;

CREATE FUNCTION spec.id(number INT) RETURNS UUID IMMUTABLE LANGUAGE sql AS $$
    SELECT ('00000000-0000-8000-8000-' || lpad(number::TEXT, 12, '0'))::UUID
$$;

-- Begin a batch of one transaction with two entries. It follows the batch that the session knows (`learns`), or else the
-- newest one, as a writer does that has read its books anew.
CREATE PROCEDURE spec.begins(the_fence BIGINT DEFAULT 1, the_shard INT DEFAULT 0, n_rejected INT DEFAULT 0) LANGUAGE plpgsql AS $$
DECLARE
    newest BYTEA := (SELECT b.hash FROM ledger.batch b WHERE b.shard = the_shard ORDER BY b.batch_id DESC LIMIT 1);
    follows BYTEA := coalesce(
        decode(nullif(current_setting('spec.known', TRUE), ''), 'hex'), newest, decode(repeat('00', 32), 'hex')
    );
    started BIGINT;
BEGIN
    INSERT INTO ledger.batch (
        shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, content_hash
    ) VALUES (
        the_shard, the_fence, 1 - n_rejected, 2 * (1 - n_rejected), 0, 0, n_rejected, '{}', follows,
        sha256(convert_to(pg_backend_pid() || clock_timestamp()::TEXT, 'UTF8'))
    ) RETURNING batch_id INTO started;
    PERFORM set_config('spec.batch', started::TEXT, FALSE);
END $$;

CREATE PROCEDURE spec.learns() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('spec.known', encode(b.hash, 'hex'), FALSE)
    FROM ledger.batch b WHERE b.shard = 0 ORDER BY b.batch_id DESC LIMIT 1;
END $$;

-- One entry, with its balance.
CREATE PROCEDURE spec.moves(the_tx UUID, the_leg INT, the_account INT, the_layer INT, the_side INT, amount NUMERIC)
LANGUAGE plpgsql AS $$
DECLARE
    found RECORD;
BEGIN
    INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, normal_side)
    VALUES (the_account, 'USD', 0, 0, 1) ON CONFLICT DO NOTHING;
    UPDATE ledger.balance b SET
        version = b.version + 1,
        last_batch_id = (SELECT max(batch_id) FROM ledger.batch WHERE xmin = pg_current_xact_id()::XID),
        settled_debit = b.settled_debit + CASE WHEN (the_layer, the_side) = (1, 1) THEN amount ELSE 0 END,
        settled_credit = b.settled_credit + CASE WHEN (the_layer, the_side) = (1, -1) THEN amount ELSE 0 END,
        pending_debit = b.pending_debit + CASE WHEN (the_layer, the_side) = (2, 1) THEN amount ELSE 0 END,
        pending_credit = b.pending_credit + CASE WHEN (the_layer, the_side) = (2, -1) THEN amount ELSE 0 END
    WHERE b.account_id = the_account AND b.currency = 'USD'
    RETURNING b.version, CASE the_layer
        WHEN 1 THEN b.settled_debit - b.settled_credit ELSE b.pending_debit - b.pending_credit
    END AS after INTO found;
    INSERT INTO pg_temp.written VALUES (
        the_tx, found.version, the_account, the_leg, the_layer, the_side, 'USD', amount, found.after
    );
END $$;

-- Balances, header and entries of the batch that was begun: `amount` from the credited to the debited account.
CREATE PROCEDURE spec.writes(
    number INT, debited INT, credited INT, amount NUMERIC, the_layer INT DEFAULT 1, about TEXT DEFAULT NULL,
    cause INT DEFAULT NULL, at TIMESTAMPTZ DEFAULT '2023-11-14 12:00+00', expires TIMESTAMPTZ DEFAULT NULL
) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS written (LIKE ledger.entry) ON COMMIT DELETE ROWS;
    CALL spec.moves(spec.id(number), 1, debited, the_layer, 1, amount);
    CALL spec.moves(spec.id(number), 2, credited, the_layer, -1, amount);
    INSERT INTO ledger.tx (
        tx_id, batch_id, source_offset, effective_at, position, n_entries, correlation_id, relation, cause_tx_id, is_final,
        expires_at, template, source, body_hash, meta
    ) VALUES (
        spec.id(number), current_setting('spec.batch')::BIGINT, 0, at, 1, 2, spec.id(0), about, spec.id(cause),
        CASE WHEN about IS NOT NULL THEN TRUE END, expires, 'SPEC', 'spec', '\x00000000000000000000000000000000', '{}'
    );
    INSERT INTO ledger.entry SELECT * FROM pg_temp.written;
END $$;

CREATE PROCEDURE spec.rejects(number INT) LANGUAGE sql AS $$
    INSERT INTO ledger.reject (
        tx_id, batch_id, position, reason, template, source, source_offset, body_hash, payload
    ) VALUES (
        spec.id(number), current_setting('spec.batch')::BIGINT, 1, 'spec', 'SPEC', 'spec', 0,
        '\x00000000000000000000000000000000', '{}'
    )
$$;

-- Before each permutation: two shards with a writer and two accounts each. Account 11 and 12 are of shard 0, 21 and 22 of 1.
-- Transaction 1 moved 5 from 12 to 11, hold 2 holds 10 until one o'clock.
CREATE PROCEDURE spec.starts() LANGUAGE plpgsql AS $$
DECLARE
    cleared TEXT;
BEGIN
    PERFORM set_config('session_replication_role', 'replica', TRUE);
    FOR cleared IN
        SELECT c.oid::REGCLASS::TEXT FROM pg_class c WHERE c.relnamespace = 'ledger'::REGNAMESPACE AND c.relkind = 'r'
    LOOP
        EXECUTE 'DELETE FROM ' || cleared;
    END LOOP;
    PERFORM set_config('session_replication_role', 'origin', TRUE);
    PERFORM setval(pg_get_serial_sequence('ledger.batch', 'batch_id'), 1, FALSE);
    INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (0, 1, 'spec', 0), (1, 1, 'spec', 1);
    INSERT INTO ledger.account (account_id, code, journal, normal_side, shard)
    VALUES (11, 'A', 'Spec', 1, 0), (12, 'B', 'Spec', -1, 0), (21, 'C', 'Spec', 1, 1), (22, 'D', 'Spec', -1, 1);
    CALL spec.begins();
    CALL spec.writes(1, 11, 12, 5);
    DELETE FROM pg_temp.written;
    CALL spec.begins();
    CALL spec.writes(2, 11, 12, 10, 2, expires => '2023-11-14 13:00+00');
END $$;

-- After each permutation: what holds whoever came first.
CREATE FUNCTION spec.books_tie() RETURNS BOOLEAN LANGUAGE sql AS $$
    SELECT NOT EXISTS (
        SELECT FROM ledger.balance b FULL JOIN (
            SELECT e.account_id, e.currency, count(*) AS n, max(e.version) AS last,
                coalesce(sum(e.side * e.amount) FILTER (WHERE e.layer = 1), 0) AS settled,
                coalesce(sum(e.side * e.amount) FILTER (WHERE e.layer = 2), 0) AS pending
            FROM ledger.entry e GROUP BY e.account_id, e.currency
        ) e USING (account_id, currency)
        WHERE (b.version, b.version, b.settled_debit - b.settled_credit, b.pending_debit - b.pending_credit)
            IS DISTINCT FROM (e.n, e.last, e.settled, e.pending)
    ) AND NOT EXISTS (
        SELECT FROM ledger.batch b
        LEFT JOIN ledger.tx t USING (batch_id) LEFT JOIN ledger.entry e USING (tx_id) LEFT JOIN ledger.reject r USING (batch_id)
        GROUP BY b.batch_id
        HAVING (count(DISTINCT t.tx_id), count(e.tx_id), count(DISTINCT r.tx_id)) <> (b.n_tx, b.n_entries, b.n_rejected)
    ) AND NOT EXISTS (SELECT FROM ledger.trial_balance t WHERE NOT t.is_balanced)
$$;

CREATE FUNCTION spec.chain_holds() RETURNS BOOLEAN LANGUAGE sql AS $$
    SELECT bool_and(c.is_linked) FROM ledger.chain c
$$;
