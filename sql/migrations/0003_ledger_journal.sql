-- depends: 0002_ledger_accounts

-- The journal: batches, what is in them, and the balances that they come to. Each table stands with its guards.
--
-- Guards that read tables forbid plans that read a whole one: they would be right for an empty ledger and stay cached for a
-- full one.

-- Layers and sides are numbers here, and names for whoever reads.
CREATE FUNCTION ledger.layer_name(layer SMALLINT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE layer WHEN 1 THEN 'settled' WHEN 2 THEN 'pending' ELSE 'encumbered' END
$$;

-- Batches ------------------------------------------------------------------------------------------------------------------

-- The writer says what its rows come to, and the database links it: the hash covers everything that is said of the batch,
-- when it was recorded included. Whatever is changed later shows in every batch after it.
CREATE TABLE ledger.batch (
    batch_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard SMALLINT NOT NULL REFERENCES ledger.writer,
    fence BIGINT NOT NULL,
    n_tx INT NOT NULL CHECK (n_tx >= 0),
    n_entries INT NOT NULL CHECK (n_entries >= 2 * n_tx),
    n_duplicates INT NOT NULL CHECK (n_duplicates >= 0),
    n_conflicts INT NOT NULL CHECK (n_conflicts >= 0),
    n_rejected INT NOT NULL CHECK (n_rejected >= 0),
    source JSON NOT NULL,                                         -- {"topic/partition": [first, last offset]}
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    accounts_hash BYTEA NOT NULL CHECK (length(accounts_hash) = 32), -- what accounts were when it began
    prev_hash BYTEA NOT NULL CHECK (length(prev_hash) = 32),
    content_hash BYTEA NOT NULL CHECK (length(content_hash) = 32),
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    UNIQUE (shard, prev_hash)                                     -- the chain cannot fork
);
CREATE INDEX batch_newest ON ledger.batch (shard, batch_id DESC);
CREATE INDEX batch_recorded ON ledger.batch (shard, recorded_at, batch_id);

-- What the hash says of a batch besides its rows.
CREATE FUNCTION ledger.batch_facts(b ledger.batch) RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT concat_ws(
        E'\t', b.batch_id, b.shard, b.fence, b.n_tx, b.n_entries, b.n_duplicates, b.n_conflicts, b.n_rejected, b.source,
        (extract(EPOCH FROM b.recorded_at) * 1000000)::BIGINT, encode(b.accounts_hash, 'hex')
    )
$$;

-- A batch belongs to the newest writer of its shard, and takes up the chain where it ended.
CREATE FUNCTION ledger.batch_begins() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    last_one RECORD;
BEGIN
    -- The lock makes the next writer wait until this batch has ended.
    PERFORM FROM ledger.writer w WHERE w.shard = NEW.shard AND w.fence = NEW.fence FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG007', MESSAGE = 'another writer has taken shard ' || NEW.shard;
    END IF;
    SELECT b.hash, b.recorded_at INTO last_one
    FROM ledger.batch b WHERE b.shard = NEW.shard ORDER BY b.batch_id DESC LIMIT 1;
    IF NEW.prev_hash <> coalesce(last_one.hash, decode(repeat('00', 32), 'hex')) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG008', MESSAGE = 'batch does not follow the last one of its shard';
    END IF;
    -- Not when the transaction began, which may have waited since: a later batch was never recorded earlier.
    NEW.recorded_at := greatest(clock_timestamp(), last_one.recorded_at);
    -- Accounts do not change while the lock is held.
    NEW.accounts_hash := coalesce(
        (SELECT c.hash FROM ledger.account_change c ORDER BY c.revision DESC LIMIT 1), decode(repeat('00', 32), 'hex')
    );
    NEW.hash := sha256(NEW.prev_hash || NEW.content_hash || convert_to(ledger.batch_facts(NEW), 'UTF8'));
    RETURN NEW;
END $$;

-- What a batch holds is written in the transaction that begins it, and no more than it says; a savepoint within counts as
-- another transaction. So nobody gets around the fence by adding to a batch of others, and to check its sums early helps
-- nobody, for afterwards it is full.
CREATE FUNCTION ledger.batch_takes() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT k.batch_id INTO bad
    FROM (SELECT DISTINCT n.batch_id FROM new_rows n) k
    LEFT JOIN ledger.batch b ON b.batch_id = k.batch_id AND b.xmin = pg_current_xact_id()::XID
    WHERE b.batch_id IS NULL OR CASE tg_table_name
        WHEN 'tx' THEN (
            SELECT count(*) > b.n_tx OR sum(t.n_entries) > b.n_entries FROM ledger.tx t WHERE t.batch_id = k.batch_id
        )
        WHEN 'reject' THEN (SELECT count(*) FROM ledger.reject r WHERE r.batch_id = k.batch_id) > b.n_rejected
        ELSE FALSE
    END LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002',
            MESSAGE = 'batch ' || bad.batch_id || ' takes no more: it is full, or of another transaction';
    END IF;
    RETURN NULL;
END $$;

-- Written by the triggers on entries and balances alone, so that a batch can be compared with them when it ends.
CREATE TABLE ledger.batch_seal (
    batch_id BIGINT PRIMARY KEY,
    n_entries INT NOT NULL
);
CREATE TABLE ledger.balance_seal (
    batch_id BIGINT NOT NULL,
    n_versions BIGINT NOT NULL
);
CREATE INDEX balance_seal_batch ON ledger.balance_seal (batch_id);

CREATE FUNCTION ledger.batch_ends() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    sealed INT;
    moved BIGINT;
    headers INT;
    rejects INT;
    conflicts INT;
BEGIN
    SELECT s.n_entries INTO sealed FROM ledger.batch_seal s WHERE s.batch_id = NEW.batch_id;
    SELECT sum(s.n_versions) INTO moved FROM ledger.balance_seal s WHERE s.batch_id = NEW.batch_id;
    SELECT count(*) INTO headers FROM ledger.tx t WHERE t.batch_id = NEW.batch_id;
    SELECT count(*) INTO rejects FROM ledger.reject r WHERE r.batch_id = NEW.batch_id;
    SELECT count(*) INTO conflicts FROM ledger.conflict c WHERE c.batch_id = NEW.batch_id;
    IF (NEW.n_entries, NEW.n_entries, NEW.n_tx, NEW.n_rejected, NEW.n_conflicts)
        IS DISTINCT FROM (coalesce(sealed, 0), coalesce(moved, 0), headers, rejects, conflicts) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'batch ' || NEW.batch_id || ' is not what it says it is';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.batch EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.batch_seal EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.batch_seal EXECUTE FUNCTION ledger.refuse_by_hand();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.balance_seal EXECUTE FUNCTION ledger.refuse_by_hand();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balance_seal
    EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER batch_begins BEFORE INSERT ON ledger.batch FOR EACH ROW EXECUTE FUNCTION ledger.batch_begins();
CREATE CONSTRAINT TRIGGER batch_ends AFTER INSERT ON ledger.batch DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger.batch_ends();

-- Rejections and conflicts -------------------------------------------------------------------------------------------------

CREATE TABLE ledger.reject (
    tx_id UUID PRIMARY KEY, -- ids of rejected and of posted transactions are one key space
    batch_id BIGINT NOT NULL,
    position INT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C",
    currency TEXT COLLATE "C",
    shortfall NUMERIC,
    template TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    source_offset BIGINT NOT NULL,
    body_hash BYTEA NOT NULL CHECK (length(body_hash) = 16),
    payload JSON NOT NULL -- not JSONB, which refuses what a text may have in it
);
CREATE INDEX reject_batch ON ledger.reject (batch_id);
-- What a person was quicker with: few rows, which reports count.
CREATE INDEX reject_already_reversed ON ledger.reject (template) WHERE reason = 'already_reversed';

CREATE TABLE ledger.conflict (
    tx_id UUID NOT NULL,
    body_hash BYTEA NOT NULL CHECK (length(body_hash) = 16),
    batch_id BIGINT NOT NULL,
    template TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    source_offset BIGINT NOT NULL,
    payload JSON NOT NULL,
    PRIMARY KEY (tx_id, body_hash)
);
CREATE INDEX conflict_batch ON ledger.conflict (batch_id);

CREATE FUNCTION ledger.rejects_fit() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT t.tx_id INTO bad FROM new_rows n JOIN ledger.tx t USING (tx_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG006', MESSAGE = 'transaction ' || bad.tx_id || ' was posted';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.reject EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.conflict EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER batch_takes AFTER INSERT ON ledger.reject REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.batch_takes();
CREATE TRIGGER batch_takes AFTER INSERT ON ledger.conflict REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.batch_takes();
CREATE TRIGGER rejects_fit AFTER INSERT ON ledger.reject REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.rejects_fit();

-- Transactions -------------------------------------------------------------------------------------------------------------

CREATE TABLE ledger.tx (
    -- Comes from what the transaction stands for, with its effective time in front: the index grows at its right end.
    tx_id UUID PRIMARY KEY,
    batch_id BIGINT NOT NULL,
    source_offset BIGINT NOT NULL,
    effective_at TIMESTAMPTZ NOT NULL,
    position INT NOT NULL,                                        -- order in the batch is the order of execution
    n_entries SMALLINT NOT NULL CHECK (n_entries BETWEEN 2 AND 64),
    -- The last so many entries are the ledger's own: they release what was left of a hold.
    n_added SMALLINT NOT NULL DEFAULT 0 CHECK (n_added BETWEEN 0 AND n_entries),
    correlation_id UUID NOT NULL,
    cause_tx_id UUID,
    relation TEXT COLLATE "C" CHECK (relation IN ('reverses', 'captures', 'voids', 'expires')),
    -- A capture that is not final leaves the rest of its hold held.
    is_final BOOLEAN CHECK (is_final OR relation = 'captures'),
    expires_at TIMESTAMPTZ,
    group_id TEXT COLLATE "C",
    group_size SMALLINT,
    template TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    body_hash BYTEA NOT NULL CHECK (length(body_hash) = 16),
    meta JSON NOT NULL,                                           -- the text as posted, for its hash; cheaper than JSONB
    CHECK ((relation IS NULL) = (cause_tx_id IS NULL)),
    CHECK ((relation IS NULL) = (is_final IS NULL)),
    CHECK ((group_id IS NULL) = (group_size IS NULL)),
    -- Only what ends a hold has entries of the ledger's own.
    CHECK (n_added = 0 OR coalesce(is_final AND relation <> 'reverses', FALSE)),
    CHECK (cause_tx_id <> tx_id)
);
CREATE INDEX tx_batch ON ledger.tx (batch_id);
-- Who asks for the transactions of a matter knows when they happened. By time the index grows at its right end, however
-- large it is; by matter alone every batch would touch all of it.
CREATE INDEX tx_effective ON ledger.tx (effective_at, correlation_id);
-- Who asks for a leg knows its id and nothing else for certain. The texts of the templates are those of the question.
CREATE INDEX tx_btc_leg ON ledger.tx ((meta -> 'btc_leg' ->> 'id'))
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD');
CREATE INDEX tx_usd_leg ON ledger.tx ((meta -> 'usd_leg' ->> 'id'))
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD');
-- What people have taken back or booked again: few among many, and asked for once a second.
CREATE INDEX tx_by_hand ON ledger.tx (source, batch_id) WHERE source IN ('console/reversals', 'console/rebookings');

-- What became of a transaction: it can be reversed once, and a hold is captured in parts or whole, voided, or expires.
CREATE TABLE ledger.resolution (
    cause_tx_id UUID NOT NULL,
    relation TEXT COLLATE "C" NOT NULL CHECK (relation IN ('reversed', 'captured', 'voided', 'expired')),
    part SMALLINT NOT NULL DEFAULT 0 CHECK (part >= 0 AND (part = 0 OR relation = 'captured')),
    is_final BOOLEAN NOT NULL DEFAULT TRUE CHECK (is_final OR relation = 'captured'),
    tx_id UUID NOT NULL UNIQUE,
    PRIMARY KEY (cause_tx_id, relation, part)
);
-- A hold ends once, one way.
CREATE UNIQUE INDEX resolution_final ON ledger.resolution (cause_tx_id) WHERE is_final AND relation <> 'reversed';

-- Headers: their period is open, their ids were not rejected, what they name as their cause is there and can be it.
CREATE FUNCTION ledger.headers_fit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT n.tx_id INTO bad FROM new_rows n
    WHERE n.effective_at < (SELECT max(p.closed_until) FROM ledger.closed_period p) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG005', MESSAGE = 'transaction ' || bad.tx_id || ' is in a closed period';
    END IF;
    SELECT n.batch_id INTO bad FROM (SELECT DISTINCT r.batch_id FROM new_rows r) n
    WHERE NOT EXISTS (SELECT FROM ledger.batch b WHERE b.batch_id = n.batch_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'there is no batch ' || bad.batch_id;
    END IF;
    SELECT r.tx_id INTO bad FROM new_rows n JOIN ledger.reject r USING (tx_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG006', MESSAGE = 'transaction ' || bad.tx_id || ' was rejected';
    END IF;
    IF EXISTS (SELECT FROM new_rows n WHERE n.cause_tx_id IS NOT NULL) THEN
        SELECT n.tx_id, n.relation, n.cause_tx_id INTO bad
        FROM new_rows n LEFT JOIN ledger.tx c ON c.tx_id = n.cause_tx_id
        WHERE n.cause_tx_id IS NOT NULL AND NOT coalesce(
            n.effective_at >= c.effective_at AND CASE n.relation
                WHEN 'reverses' THEN TRUE
                WHEN 'expires' THEN n.effective_at >= c.expires_at
                ELSE c.expires_at IS NULL OR n.effective_at < c.expires_at
            END, FALSE)
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'LG010', MESSAGE =
                'transaction ' || bad.tx_id || ' ' || bad.relation || ' ' || bad.cause_tx_id
                || ', which is not there or not then';
        END IF;
        INSERT INTO ledger.resolution (cause_tx_id, relation, part, is_final, tx_id)
        SELECT
            n.cause_tx_id,
            CASE n.relation
                WHEN 'reverses' THEN 'reversed' WHEN 'captures' THEN 'captured' WHEN 'voids' THEN 'voided' ELSE 'expired'
            END,
            CASE n.relation WHEN 'captures' THEN
                coalesce((
                    SELECT max(r.part) FROM ledger.resolution r WHERE r.cause_tx_id = n.cause_tx_id AND r.relation = 'captured'
                ), 0) + row_number() OVER (PARTITION BY n.cause_tx_id, n.relation ORDER BY n.position)
            ELSE 0 END,
            n.is_final,
            n.tx_id
        FROM new_rows n WHERE n.cause_tx_id IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.tx EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.resolution EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.resolution EXECUTE FUNCTION ledger.refuse_by_hand();
CREATE TRIGGER batch_takes AFTER INSERT ON ledger.tx REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION ledger.batch_takes();
CREATE TRIGGER headers_fit AFTER INSERT ON ledger.tx REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION ledger.headers_fit();

-- Balances -----------------------------------------------------------------------------------------------------------------

CREATE TABLE ledger.balance (
    account_id INT NOT NULL REFERENCES ledger.account,
    currency TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 0),                 -- counts the entries, without gaps
    last_batch_id BIGINT NOT NULL,
    settled_debit NUMERIC(38, 0) NOT NULL DEFAULT 0,
    settled_credit NUMERIC(38, 0) NOT NULL DEFAULT 0,
    pending_debit NUMERIC(38, 0) NOT NULL DEFAULT 0 CHECK (pending_debit >= 0),
    pending_credit NUMERIC(38, 0) NOT NULL DEFAULT 0 CHECK (pending_credit >= 0),
    encumbered_debit NUMERIC(38, 0) NOT NULL DEFAULT 0 CHECK (encumbered_debit >= 0),
    encumbered_credit NUMERIC(38, 0) NOT NULL DEFAULT 0 CHECK (encumbered_credit >= 0),
    normal_side SMALLINT NOT NULL,
    min_available NUMERIC(38, 0),
    max_balance NUMERIC(38, 0),
    PRIMARY KEY (account_id, currency),
    -- What is pending or promised on the other side is no longer available; what is yet to come does not count.
    CONSTRAINT balance_min_available CHECK (
        min_available IS NULL OR min_available <= CASE normal_side
            WHEN 1 THEN settled_debit - settled_credit - pending_credit - encumbered_credit
            ELSE settled_credit - settled_debit - pending_debit - encumbered_debit
        END
    ),
    CONSTRAINT balance_max CHECK (
        max_balance IS NULL OR max_balance >= CASE normal_side
            WHEN 1 THEN settled_debit - settled_credit + pending_debit + encumbered_debit
            ELSE settled_credit - settled_debit + pending_credit + encumbered_credit
        END
    )
) WITH (fillfactor = 50); -- every batch updates these few rows: room for the new versions beside the old ones

CREATE FUNCTION ledger.balance_opens() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT a.normal_side, a.min_available, a.max_balance
    INTO NEW.normal_side, NEW.min_available, NEW.max_balance
    FROM ledger.account a
    WHERE a.account_id = NEW.account_id AND (a.currency IS NULL OR a.currency = NEW.currency);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG003',
            MESSAGE = 'account ' || NEW.account_id || ' takes no ' || NEW.currency;
    END IF;
    RETURN NEW;
END $$;

-- A balance moves with its version, in the transaction of its batch, and by as many versions as the batch has entries: each
-- statement says here how many it moved, and the end of the batch compares. So no balance is moved without entries.
CREATE FUNCTION ledger.balances_moved(the_batch BIGINT, n_versions NUMERIC) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.batch b WHERE b.batch_id = the_batch AND b.xmin = pg_current_xact_id()::XID) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004', MESSAGE = 'balances do not move without a batch of this transaction';
    END IF;
    INSERT INTO ledger.balance_seal VALUES (the_batch, n_versions);
END $$;

CREATE FUNCTION ledger.balances_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT n.account_id, n.currency INTO bad
    FROM new_rows n
    WHERE n.version = 0 AND (
        n.settled_debit, n.settled_credit, n.pending_debit, n.pending_credit, n.encumbered_debit, n.encumbered_credit
    ) IS DISTINCT FROM (0, 0, 0, 0, 0, 0) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004',
            MESSAGE = 'the balance of account ' || bad.account_id || ' in ' || bad.currency || ' does not move without entries';
    END IF;
    PERFORM ledger.balances_moved(k.batch_id, k.n_versions)
    FROM (
        SELECT n.last_batch_id AS batch_id, sum(n.version) AS n_versions FROM new_rows n WHERE n.version > 0 GROUP BY 1
    ) k;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.balances_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT o.account_id, o.currency INTO bad
    FROM old_rows o JOIN new_rows n USING (account_id, currency)
    WHERE n.version <= o.version AND (
        n.version, n.settled_debit, n.settled_credit, n.pending_debit, n.pending_credit, n.encumbered_debit, n.encumbered_credit
    ) IS DISTINCT FROM (
        o.version, o.settled_debit, o.settled_credit, o.pending_debit, o.pending_credit, o.encumbered_debit, o.encumbered_credit
    ) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004',
            MESSAGE = 'the balance of account ' || bad.account_id || ' in ' || bad.currency || ' does not move without entries';
    END IF;
    PERFORM ledger.balances_moved(k.batch_id, k.n_versions)
    FROM (
        SELECT n.last_batch_id AS batch_id, sum(n.version - o.version) AS n_versions
        FROM old_rows o JOIN new_rows n USING (account_id, currency) WHERE n.version <> o.version GROUP BY 1
    ) k;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger.balance EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balance_opens BEFORE INSERT ON ledger.balance FOR EACH ROW EXECUTE FUNCTION ledger.balance_opens();
CREATE TRIGGER balances_open AFTER INSERT ON ledger.balance REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.balances_open();
CREATE TRIGGER balances_move AFTER UPDATE ON ledger.balance REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.balances_move();

-- Entries ------------------------------------------------------------------------------------------------------------------

CREATE TABLE ledger.entry (
    tx_id UUID NOT NULL,
    version BIGINT NOT NULL,
    account_id INT NOT NULL,
    leg SMALLINT NOT NULL CHECK (leg >= 1),
    layer SMALLINT NOT NULL CHECK (layer IN (1, 2, 3)),           -- settled, pending, encumbered
    side SMALLINT NOT NULL CHECK (side IN (1, -1)),               -- debit, credit
    currency TEXT COLLATE "C" NOT NULL,
    amount NUMERIC(38, 0) NOT NULL CHECK (amount <> 0),           -- negative takes back part of that side
    balance_after NUMERIC(38, 0) NOT NULL,                        -- debits less credits of the layer
    PRIMARY KEY (tx_id, leg),
    UNIQUE (account_id, currency, version)                        -- an account's history, and no two writers
);
-- Most accounts are never held on: their last held entry is found without reading all others.
CREATE INDEX entry_held ON ledger.entry (account_id, currency, layer, version) WHERE layer > 1;

-- Balances by effective date are sums over these: a late transaction adds a row and rewrites nothing.
CREATE TABLE ledger.effective_delta (
    account_id INT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    layer SMALLINT NOT NULL,
    effective_date DATE NOT NULL,
    batch_id BIGINT NOT NULL,
    delta NUMERIC(38, 0) NOT NULL,
    PRIMARY KEY (account_id, currency, layer, effective_date, batch_id)
);
CREATE INDEX effective_delta_batch ON ledger.effective_delta USING brin (batch_id); -- whoever proves reads batch by batch

-- What is released was held, by the hold that is named; a hold that has ended holds nothing; a reversal is a mirror.
CREATE FUNCTION ledger.causes_fit(the_batch BIGINT) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT e.tx_id INTO bad
    FROM ledger.tx t JOIN ledger.entry e USING (tx_id)
    WHERE t.batch_id = the_batch AND e.layer > 1 AND CASE
        WHEN t.relation IS NULL THEN e.amount < 0
        ELSE t.relation = 'reverses' OR e.amount > 0
    END LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG011',
            MESSAGE = 'transaction ' || bad.tx_id || ' holds or releases what its relation does not allow';
    END IF;

    SELECT h.cause_tx_id INTO bad
    FROM (
        SELECT DISTINCT t.cause_tx_id FROM ledger.tx t
        WHERE t.batch_id = the_batch AND t.cause_tx_id IS NOT NULL AND t.relation <> 'reverses'
    ) h
    CROSS JOIN LATERAL (
        SELECT min(left_over.held) AS least, max(left_over.held) AS most
        FROM (
            SELECT sum(e.amount) AS held
            FROM (
                SELECT h.cause_tx_id AS tx_id
                UNION ALL
                SELECT r.tx_id FROM ledger.resolution r WHERE r.cause_tx_id = h.cause_tx_id AND r.relation <> 'reversed'
            ) s
            JOIN ledger.entry e ON e.tx_id = s.tx_id
            WHERE e.layer > 1
            GROUP BY e.account_id, e.currency, e.layer, e.side
        ) left_over
    ) k
    WHERE k.least IS NULL OR k.least < 0 OR (k.most > 0 AND EXISTS (
        SELECT FROM ledger.resolution r WHERE r.cause_tx_id = h.cause_tx_id AND r.relation <> 'reversed' AND r.is_final
    )) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG011', MESSAGE = 'hold ' || bad.cause_tx_id || ' does not add up';
    END IF;

    SELECT t.tx_id INTO bad
    FROM ledger.tx t
    WHERE t.batch_id = the_batch AND t.relation <> 'reverses'
        AND NOT EXISTS (SELECT FROM ledger.entry e WHERE e.tx_id = t.tx_id AND e.layer > 1) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG011', MESSAGE = 'transaction ' || bad.tx_id || ' releases nothing';
    END IF;

    SELECT t.tx_id INTO bad
    FROM ledger.tx t
    WHERE t.batch_id = the_batch AND t.relation = 'reverses' AND EXISTS (
        SELECT FROM ledger.entry e WHERE e.tx_id IN (t.tx_id, t.cause_tx_id) AND e.layer = 1
        GROUP BY e.account_id, e.currency HAVING sum(e.side * e.amount) <> 0
    ) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG012',
            MESSAGE = 'transaction ' || bad.tx_id || ' does not take back what it reverses';
    END IF;
END $$;

-- A void or a final capture gives back what is left to the window in which the hold was taken.
CREATE FUNCTION ledger.velocities_fit(the_batch BIGINT) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    bad RECORD;
BEGIN
    WITH moved AS (
        SELECT
            e.account_id,
            e.currency,
            extract(EPOCH FROM coalesce(h.effective_at, t.effective_at)) AS at,
            t.relation IS NOT NULL AND t.relation <> 'reverses' AS is_resolving,
            -sum(CASE
                WHEN e.layer = 1 THEN a.normal_side * e.side * e.amount
                WHEN e.side <> a.normal_side THEN -e.amount
                ELSE 0
            END) AS fallen
        FROM ledger.tx t
        JOIN ledger.entry e USING (tx_id)
        JOIN ledger.account a ON a.account_id = e.account_id
        LEFT JOIN ledger.tx h ON h.tx_id = t.cause_tx_id AND t.relation <> 'reverses'
        WHERE t.batch_id = the_batch AND EXISTS (
            SELECT FROM ledger.velocity_limit v WHERE v.account_id = e.account_id AND v.currency = e.currency
        )
        GROUP BY t.tx_id, e.account_id, e.currency, 3, 4
    ),
    used AS (
        SELECT m.account_id, m.currency, v.window_seconds, v.amount_max,
            (floor(m.at / v.window_seconds) * v.window_seconds)::BIGINT AS window_start,
            sum(CASE WHEN m.is_resolving THEN m.fallen ELSE greatest(m.fallen, 0) END) AS used
        FROM moved m JOIN ledger.velocity_limit v ON v.account_id = m.account_id AND v.currency = m.currency
        GROUP BY 1, 2, 3, 4, 5
    ),
    written AS (
        INSERT INTO ledger.velocity_use AS u (account_id, currency, window_seconds, window_start, used)
        SELECT k.account_id, k.currency, k.window_seconds, k.window_start, k.used FROM used k WHERE k.used <> 0
        ON CONFLICT (account_id, currency, window_seconds, window_start) DO UPDATE SET used = u.used + excluded.used
        RETURNING u.account_id, u.currency, u.window_seconds, u.window_start, u.used
    )
    SELECT w.account_id, w.currency INTO bad
    FROM written w JOIN used k USING (account_id, currency, window_seconds, window_start)
    WHERE k.used > 0 AND w.used > k.amount_max LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG013',
            MESSAGE = 'account ' || bad.account_id || ' in ' || bad.currency || ' is over a velocity limit';
    END IF;
END $$;

-- All entries of a batch come in one statement, after its headers and its balances.
CREATE FUNCTION ledger.entries_fit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    bad RECORD;
    the_batch BIGINT;
    first_date DATE;
    last_date DATE;
    has_causes BOOLEAN;
BEGIN
    SELECT t.batch_id INTO the_batch FROM (SELECT n.tx_id FROM new_rows n LIMIT 1) k JOIN ledger.tx t USING (tx_id);
    IF the_batch IS NULL AND EXISTS (SELECT FROM new_rows) THEN
        SELECT n.tx_id INTO bad FROM new_rows n LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'transaction ' || bad.tx_id || ' has no header';
    ELSIF the_batch IS NULL THEN
        RETURN NULL; -- an empty statement
    END IF;

    -- The headers of one batch are as many as its transactions: the one place where hashing them is right for any ledger.
    SET LOCAL enable_hashjoin = on;
    SET LOCAL enable_nestloop = off;
    WITH headers AS MATERIALIZED (SELECT t.tx_id, t.n_entries FROM ledger.tx t WHERE t.batch_id = the_batch)
    SELECT k.tx_id, k.is_balanced INTO bad
    FROM (
        SELECT c.tx_id, sum(c.legs) AS legs, max(c.last_leg) AS last_leg, bool_and(c.net = 0) AS is_balanced
        FROM (
            SELECT n.tx_id, count(*) AS legs, max(n.leg) AS last_leg, sum(n.side * n.amount) AS net
            FROM new_rows n GROUP BY n.tx_id, n.currency, n.layer
        ) c
        GROUP BY c.tx_id
    ) k
    LEFT JOIN headers h ON h.tx_id = k.tx_id
    WHERE NOT k.is_balanced OR h.n_entries IS DISTINCT FROM k.legs OR k.last_leg <> k.legs LIMIT 1;
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_nestloop = on;
    IF FOUND AND NOT bad.is_balanced THEN
        RAISE EXCEPTION USING ERRCODE = 'LG001', MESSAGE = 'transaction ' || bad.tx_id || ' is unbalanced';
    ELSIF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'transaction ' || bad.tx_id
            || ' has no header in this batch, or not the number of entries that it says';
    END IF;

    SELECT
        min((t.effective_at AT TIME ZONE 'UTC')::DATE),
        max((t.effective_at AT TIME ZONE 'UTC')::DATE),
        bool_or(t.cause_tx_id IS NOT NULL)
    INTO first_date, last_date, has_causes FROM ledger.tx t WHERE t.batch_id = the_batch;
    IF first_date < last_date THEN
        INSERT INTO ledger.effective_delta
        SELECT n.account_id, n.currency, n.layer, (t.effective_at AT TIME ZONE 'UTC')::DATE, the_batch,
            sum(n.side * n.amount)
        FROM new_rows n JOIN ledger.tx t USING (tx_id)
        GROUP BY 1, 2, 3, 4;
    END IF;

    -- Accounts are open leaves of this shard, versions go on without a gap, and the balances are what the entries have made
    -- of the ones before. The same sums are those by effective date, if it is one for all.
    WITH moved AS MATERIALIZED (
        SELECT n.account_id, n.currency, n.layer, min(n.version) AS first, max(n.version) AS last, count(*) AS entries,
            sum(n.side * n.amount) AS delta
        FROM new_rows n GROUP BY n.account_id, n.currency, n.layer
    ),
    by_date AS (
        INSERT INTO ledger.effective_delta
        SELECT m.account_id, m.currency, m.layer, first_date, the_batch, m.delta FROM moved m WHERE first_date = last_date
    ),
    seal AS (
        INSERT INTO ledger.batch_seal SELECT the_batch, sum(m.entries) FROM moved m
    )
    SELECT k.account_id, k.currency, a.status, a.is_summary OR a.shard <> h.shard AS is_elsewhere INTO bad
    FROM (
        SELECT m.account_id, m.currency, min(m.first) AS first, max(m.last) AS last, sum(m.entries) AS entries,
            coalesce(sum(m.delta) FILTER (WHERE m.layer = 1), 0) AS settled,
            coalesce(sum(m.delta) FILTER (WHERE m.layer = 2), 0) AS pending,
            coalesce(sum(m.delta) FILTER (WHERE m.layer = 3), 0) AS encumbered
        FROM moved m GROUP BY m.account_id, m.currency
    ) k
    CROSS JOIN (SELECT b.shard FROM ledger.batch b WHERE b.batch_id = the_batch) h
    LEFT JOIN ledger.account a ON a.account_id = k.account_id
    LEFT JOIN ledger.balance b ON b.account_id = k.account_id AND b.currency = k.currency
    LEFT JOIN ledger.entry e ON e.account_id = k.account_id AND e.currency = k.currency AND e.version = k.last
    LEFT JOIN ledger.entry f ON f.account_id = k.account_id AND f.currency = k.currency AND f.version = k.first - 1
    WHERE a.status IS DISTINCT FROM 'open' OR a.is_summary OR a.shard <> h.shard
        OR b.version IS DISTINCT FROM k.last OR k.last - k.first + 1 <> k.entries
        OR (k.first > 1) <> (f.version IS NOT NULL)
        OR e.balance_after IS DISTINCT FROM CASE e.layer
            WHEN 1 THEN b.settled_debit - b.settled_credit
            WHEN 2 THEN b.pending_debit - b.pending_credit
            ELSE b.encumbered_debit - b.encumbered_credit
        END
        OR CASE f.layer
            WHEN 1 THEN b.settled_debit - b.settled_credit - k.settled <> f.balance_after
            WHEN 2 THEN b.pending_debit - b.pending_credit - k.pending <> f.balance_after
            WHEN 3 THEN b.encumbered_debit - b.encumbered_credit - k.encumbered <> f.balance_after
            ELSE (b.settled_debit - b.settled_credit, b.pending_debit - b.pending_credit, b.encumbered_debit - b.encumbered_credit)
                <> (k.settled, k.pending, k.encumbered) -- the first entries of this balance
        END
    LIMIT 1;
    IF FOUND AND bad.status IS DISTINCT FROM 'open' THEN
        RAISE EXCEPTION USING ERRCODE = 'LG003', MESSAGE = 'account ' || bad.account_id || ' is unknown or not open';
    ELSIF FOUND AND bad.is_elsewhere THEN
        RAISE EXCEPTION USING ERRCODE = 'LG014',
            MESSAGE = 'account ' || bad.account_id || ' is not a leaf, or of another shard';
    ELSIF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004',
            MESSAGE = 'entries of account ' || bad.account_id || ' in ' || bad.currency || ' do not fit its balance';
    END IF;

    IF has_causes OR EXISTS (SELECT FROM new_rows n WHERE n.layer > 1 AND n.amount < 0) THEN
        PERFORM ledger.causes_fit(the_batch);
    END IF;
    IF EXISTS (SELECT FROM ledger.velocity_limit) THEN
        PERFORM ledger.velocities_fit(the_batch);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entry EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.effective_delta
    EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.effective_delta EXECUTE FUNCTION ledger.refuse_by_hand();
CREATE TRIGGER entries_fit AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.entries_fit();

-- Rights -------------------------------------------------------------------------------------------------------------------

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.layer_name(SMALLINT), ledger.batch_facts(ledger.batch)
    TO ballast_writer, ballast_executor, ballast_api, ballast_reader; -- the views call them

-- Ids of batches, times of recording and copies of limits are the database's: those columns are left out.
GRANT INSERT (shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, content_hash)
    ON ledger.batch TO ballast_writer;
GRANT INSERT ON ledger.tx, ledger.entry, ledger.reject, ledger.conflict TO ballast_writer;
GRANT
    INSERT (
        account_id, currency, version, last_batch_id, settled_debit, settled_credit, pending_debit, pending_credit,
        encumbered_debit, encumbered_credit, normal_side
    ),
    UPDATE (
        version, last_batch_id, settled_debit, settled_credit, pending_debit, pending_credit, encumbered_debit,
        encumbered_credit
    )
    ON ledger.balance TO ballast_writer;
