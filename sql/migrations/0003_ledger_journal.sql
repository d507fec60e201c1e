-- depends: 0002_ledger_accounts

-- The journal: batches, what is in them, and the balances that they come to. Each table stands with its guards.
--
-- Guards that read tables forbid plans that read a whole one: they would be right for an empty ledger and stay cached for a
-- full one. Where there is no other plan it looks dear, and would be compiled, which takes longer than to run it: so jit is off.

-- Layers and sides are numbers here, and names for whoever reads.
CREATE FUNCTION ledger.layer_name(layer SMALLINT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE layer WHEN 1 THEN 'settled' WHEN 2 THEN 'pending' ELSE 'encumbered' END
$$;

-- Batches ------------------------------------------------------------------------------------------------------------------

-- The writer says what its rows come to, and the database links it: the hash covers everything that is said of the batch,
-- when it was recorded included. Whatever is changed later shows in every batch after it.
CREATE TABLE ledger.batch (
    batch_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard SMALLINT NOT NULL,                                      -- that of a writer, by `batch_begins`
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
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    last_one RECORD;
BEGIN
    -- The lock makes the next writer wait until this batch has ended.
    PERFORM FROM ledger.writer w WHERE w.shard = NEW.shard AND w.fence = NEW.fence FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG007', MESSAGE = 'another writer has taken shard ' || NEW.shard;
    END IF;
    -- Accounts do not change while the lock is held.
    SELECT b.hash, b.recorded_at, c.accounts_hash INTO last_one
    FROM (SELECT (SELECT a.hash FROM ledger.account_change a ORDER BY a.revision DESC LIMIT 1) AS accounts_hash) c
    LEFT JOIN (
        SELECT n.hash, n.recorded_at FROM ledger.batch n WHERE n.shard = NEW.shard ORDER BY n.batch_id DESC LIMIT 1
    ) b ON TRUE;
    IF NEW.prev_hash <> coalesce(last_one.hash, decode(repeat('00', 32), 'hex')) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG008', MESSAGE = 'batch does not follow the last one of its shard';
    END IF;
    -- Not when the transaction began, which may have waited since: a later batch was never recorded earlier.
    NEW.recorded_at := greatest(clock_timestamp(), last_one.recorded_at);
    NEW.accounts_hash := coalesce(last_one.accounts_hash, decode(repeat('00', 32), 'hex'));
    NEW.hash := sha256(NEW.prev_hash || NEW.content_hash || convert_to(ledger.batch_facts(NEW), 'UTF8'));
    RETURN NEW;
END $$;

-- What a batch holds is written in the transaction that begins it, and no more than it says; a savepoint within counts as
-- another transaction. So nobody gets around the fence by adding to a batch of others, and to check its sums early helps
-- nobody, for afterwards it is full. This is for what a batch refuses; headers see to it themselves, with the rest that is
-- asked of them.
CREATE FUNCTION ledger.batch_takes() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    bad RECORD;
BEGIN
    SELECT k.batch_id INTO bad
    FROM (SELECT DISTINCT n.batch_id FROM new_rows n) k
    LEFT JOIN ledger.batch b ON b.batch_id = k.batch_id AND b.xmin = pg_current_xact_id()::XID
    WHERE b.batch_id IS NULL OR CASE tg_table_name
        WHEN 'reject' THEN (SELECT count(*) FROM ledger.reject r WHERE r.batch_id = k.batch_id) > b.n_rejected
        ELSE (SELECT count(*) FROM ledger.conflict c WHERE c.batch_id = k.batch_id) > b.n_conflicts
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
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    said RECORD;
BEGIN
    -- Of rejections and conflicts a batch takes no more than it says: where it says none there are none.
    SELECT
        (SELECT s.n_entries FROM ledger.batch_seal s WHERE s.batch_id = NEW.batch_id) AS n_entries,
        (SELECT sum(s.n_versions) FROM ledger.balance_seal s WHERE s.batch_id = NEW.batch_id) AS n_versions,
        (SELECT count(*) FROM ledger.tx t WHERE t.batch_id = NEW.batch_id) AS n_tx,
        CASE WHEN NEW.n_rejected > 0 THEN
            (SELECT count(*) FROM ledger.reject r WHERE r.batch_id = NEW.batch_id) ELSE 0
        END AS n_rejected,
        CASE WHEN NEW.n_conflicts > 0 THEN
            (SELECT count(*) FROM ledger.conflict c WHERE c.batch_id = NEW.batch_id) ELSE 0
        END AS n_conflicts
    INTO said;
    IF (NEW.n_entries, NEW.n_entries, NEW.n_tx, NEW.n_rejected, NEW.n_conflicts) IS DISTINCT FROM
       (coalesce(said.n_entries, 0), coalesce(said.n_versions, 0), said.n_tx, said.n_rejected, said.n_conflicts) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'batch ' || NEW.batch_id || ' is not what it says it is';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.batch EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.batch_seal EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.batch_seal
    WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION ledger.refuse_by_hand();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.balance_seal
    WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION ledger.refuse_by_hand();
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
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
--
-- The key is what stands in the text of the metadata behind the first "id" (the bitcoin leg's) and behind the second, up to a
-- quote. A text within JSON has no bare quotes, so it cannot look like a key; an id with a quote in it shares its key with
-- others, so who asks compares the id as well. To parse the JSON for it would cost a fifth of all that a trade costs here.
CREATE FUNCTION ledger.leg_key(meta JSON, leg INT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT split_part(split_part(meta::TEXT, '"id":"', leg + 1), '"', 1) COLLATE "C"
$$;
CREATE FUNCTION ledger.leg_key(id TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT split_part(substr(to_json(id)::TEXT, 2), '"', 1) COLLATE "C"
$$;
CREATE INDEX tx_btc_leg ON ledger.tx (ledger.leg_key(meta, 1))
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD');
CREATE INDEX tx_usd_leg ON ledger.tx (ledger.leg_key(meta, 2))
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD');
-- Holds that will expire are asked for at every start.
CREATE INDEX tx_expires ON ledger.tx (expires_at) WHERE expires_at IS NOT NULL;
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

-- Headers: they are of one batch of this transaction, which takes them; their period is open, their ids were not rejected,
-- what they name as their cause is there and can be it.
--
-- How many headers a batch has is counted when it ends, which may be early, but not before its entries are there. So a
-- statement is held to what the batch says, and only if it comes after the entries all of them are counted here.
CREATE FUNCTION ledger.headers_fit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    bad RECORD;
    told RECORD;
    its RECORD;
BEGIN
    SELECT min(n.batch_id) AS batch_id, max(n.batch_id) AS last_batch_id, count(*) AS n_tx,
        min(n.effective_at) AS first_at, bool_or(n.cause_tx_id IS NOT NULL) AS has_causes
    INTO told FROM new_rows n;
    IF told.n_tx = 0 THEN
        RETURN NULL; -- an empty statement
    END IF;
    -- Ids sort by time: most of those that come are greater than any that was rejected, and need no look.
    SELECT b.n_tx,
        (SELECT max(p.closed_until) FROM ledger.closed_period p) AS closed_until,
        CASE WHEN EXISTS (SELECT FROM ledger.batch_seal s WHERE s.batch_id = b.batch_id) THEN
            (SELECT count(*) FROM ledger.tx t WHERE t.batch_id = b.batch_id) ELSE told.n_tx
        END AS n_taken,
        (SELECT r.tx_id FROM ledger.reject r ORDER BY r.tx_id DESC LIMIT 1) AS last_rejected
    INTO its FROM ledger.batch b WHERE b.batch_id = told.batch_id AND b.xmin = pg_current_xact_id()::XID;
    IF its.n_tx IS NULL OR told.batch_id <> told.last_batch_id OR its.n_taken > its.n_tx THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'batch ' || told.batch_id
            || ' takes no more: it is full, or of another transaction, or not alone';
    END IF;
    IF told.first_at < its.closed_until THEN
        SELECT n.tx_id INTO bad FROM new_rows n WHERE n.effective_at = told.first_at LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = 'LG005', MESSAGE = 'transaction ' || bad.tx_id || ' is in a closed period';
    END IF;
    IF its.last_rejected IS NOT NULL THEN
        SELECT n.tx_id INTO bad FROM new_rows n
        WHERE n.tx_id <= its.last_rejected AND EXISTS (SELECT FROM ledger.reject r WHERE r.tx_id = n.tx_id OFFSET 0) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'LG006', MESSAGE = 'transaction ' || bad.tx_id || ' was rejected';
        END IF;
    END IF;
    IF told.has_causes THEN
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
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.resolution
    WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION ledger.refuse_by_hand();
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
    INSERT INTO ledger.balance_seal
    SELECT b.batch_id, n_versions FROM ledger.batch b WHERE b.batch_id = the_batch AND b.xmin = pg_current_xact_id()::XID;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004', MESSAGE = 'balances do not move without a batch of this transaction';
    END IF;
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
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told RECORD;
BEGIN
    SELECT min(n.last_batch_id) AS batch_id, max(n.last_batch_id) AS last_batch_id,
        sum(n.version) - (SELECT sum(o.version) FROM old_rows o) AS n_versions
    INTO told FROM new_rows n;
    IF told.n_versions = 0 THEN
        RETURN NULL; -- no version falls, so none has moved
    ELSIF told.batch_id <> told.last_batch_id THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004', MESSAGE = 'balances do not move by two batches at once';
    END IF;
    PERFORM ledger.balances_moved(told.batch_id, told.n_versions) WHERE told.n_versions IS NOT NULL;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger.balance_is_moved_alone() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'LG004', MESSAGE =
        'the balance of account ' || OLD.account_id || ' in ' || OLD.currency || ' does not move without entries';
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger.balance EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balance_opens BEFORE INSERT ON ledger.balance FOR EACH ROW EXECUTE FUNCTION ledger.balance_opens();
CREATE TRIGGER balances_open AFTER INSERT ON ledger.balance REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.balances_open();
-- Judged while the row is at hand; the function is called for those that are refused alone.
CREATE TRIGGER balance_is_moved_alone AFTER UPDATE ON ledger.balance FOR EACH ROW WHEN (
    NEW.version <= OLD.version AND (
        NEW.version, NEW.settled_debit, NEW.settled_credit, NEW.pending_debit, NEW.pending_credit, NEW.encumbered_debit,
        NEW.encumbered_credit
    ) IS DISTINCT FROM (
        OLD.version, OLD.settled_debit, OLD.settled_credit, OLD.pending_debit, OLD.pending_credit, OLD.encumbered_debit,
        OLD.encumbered_credit
    )
) EXECUTE FUNCTION ledger.balance_is_moved_alone();
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
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
        GROUP BY e.account_id, e.currency HAVING sum(CASE e.side WHEN 1 THEN e.amount ELSE -e.amount END) <> 0
    ) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'LG012',
            MESSAGE = 'transaction ' || bad.tx_id || ' does not take back what it reverses';
    END IF;
END $$;

-- A void or a final capture gives back what is left to the window in which the hold was taken.
CREATE FUNCTION ledger.velocities_fit(the_batch BIGINT) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
--
-- What is grouped is hashed, whatever its number, and so are the headers of the batch, which are as many as its transactions.
-- Whatever else is looked up in a table is looked up by its index, row by row: it is a few rows of a table of any size, and
-- LATERAL with OFFSET leaves a plan no other way.
CREATE FUNCTION ledger.entries_fit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off SET enable_mergejoin = off
SET enable_nestloop = off SET enable_sort = off SET enable_hashjoin = on SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    bad RECORD;
    told RECORD;
    the_batch BIGINT;
BEGIN
    SELECT t.batch_id INTO the_batch FROM ledger.tx t WHERE t.tx_id = (SELECT n.tx_id FROM new_rows n LIMIT 1);
    IF the_batch IS NULL AND EXISTS (SELECT FROM new_rows) THEN
        SELECT n.tx_id INTO bad FROM new_rows n LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'transaction ' || bad.tx_id || ' has no header';
    ELSIF the_batch IS NULL THEN
        RETURN NULL; -- an empty statement
    END IF;

    -- Legs are unique and count from 1. If none is beyond what its header says, and all of them are as many as all headers
    -- say, then each transaction has as many as its own header says.
    WITH headers AS MATERIALIZED (
        SELECT t.tx_id, t.n_entries, t.effective_at, t.cause_tx_id FROM ledger.tx t WHERE t.batch_id = the_batch
    ),
    sums AS (
        SELECT n.tx_id, max(n.leg) AS last_leg, count(*) AS legs, bool_or(n.layer > 1 AND n.amount < 0) AS has_releases,
            sum(CASE n.side WHEN 1 THEN n.amount ELSE -n.amount END) AS net
        FROM new_rows n GROUP BY n.tx_id, n.currency, n.layer
    )
    SELECT k.unbalanced, k.misfit, k.legs = h.n_entries AS is_whole, h.first_date, h.last_date,
        h.has_causes OR k.has_releases AS has_causes,
        EXISTS (SELECT FROM ledger.velocity_limit) AS has_velocities
    INTO told
    FROM (
        SELECT sum(s.legs) AS legs, bool_or(s.has_releases) AS has_releases,
            (array_agg(s.tx_id) FILTER (WHERE s.net <> 0))[1] AS unbalanced,
            (array_agg(s.tx_id) FILTER (WHERE h.n_entries IS NULL OR s.last_leg > h.n_entries))[1] AS misfit
        FROM sums s LEFT JOIN headers h ON h.tx_id = s.tx_id
    ) k
    CROSS JOIN (
        SELECT sum(t.n_entries) AS n_entries, bool_or(t.cause_tx_id IS NOT NULL) AS has_causes,
            (min(t.effective_at) AT TIME ZONE 'UTC')::DATE AS first_date,
            (max(t.effective_at) AT TIME ZONE 'UTC')::DATE AS last_date
        FROM headers t
    ) h;
    IF told.unbalanced IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'LG001', MESSAGE = 'transaction ' || told.unbalanced || ' is unbalanced';
    ELSIF told.misfit IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'transaction ' || told.misfit
            || ' has no header in this batch, or not the number of entries that it says';
    ELSIF NOT told.is_whole AND NOT EXISTS (SELECT FROM ledger.batch_seal s WHERE s.batch_id = the_batch) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG002', MESSAGE = 'batch ' || the_batch
            || ' has headers without the number of entries that they say';
    END IF;

    IF told.first_date < told.last_date THEN
        INSERT INTO ledger.effective_delta
        SELECT n.account_id, n.currency, n.layer, (t.effective_at AT TIME ZONE 'UTC')::DATE, the_batch,
            sum(CASE n.side WHEN 1 THEN n.amount ELSE -n.amount END)
        FROM new_rows n
        JOIN (SELECT h.tx_id, h.effective_at FROM ledger.tx h WHERE h.batch_id = the_batch OFFSET 0) t USING (tx_id)
        GROUP BY 1, 2, 3, 4;
    END IF;

    -- Accounts are open leaves of this shard, versions go on without a gap, and the balances are what the entries have made
    -- of the ones before. The same sums are those by effective date, if it is one for all.
    WITH moved AS MATERIALIZED (
        SELECT n.account_id, n.currency, n.layer, min(n.version) AS first, max(n.version) AS last, count(*) AS entries,
            sum(CASE n.side WHEN 1 THEN n.amount ELSE -n.amount END) AS delta
        FROM new_rows n GROUP BY n.account_id, n.currency, n.layer
    ),
    by_date AS (
        INSERT INTO ledger.effective_delta
        SELECT m.account_id, m.currency, m.layer, told.first_date, the_batch, m.delta
        FROM moved m WHERE told.first_date = told.last_date
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
    LEFT JOIN LATERAL (
        SELECT o.status, o.is_summary, o.shard FROM ledger.account o WHERE o.account_id = k.account_id OFFSET 0
    ) a ON TRUE
    LEFT JOIN LATERAL (
        SELECT o.version, o.settled_debit - o.settled_credit AS settled, o.pending_debit - o.pending_credit AS pending,
            o.encumbered_debit - o.encumbered_credit AS encumbered
        FROM ledger.balance o WHERE o.account_id = k.account_id AND o.currency = k.currency OFFSET 0
    ) b ON TRUE
    LEFT JOIN LATERAL (
        SELECT o.layer, o.balance_after FROM ledger.entry o
        WHERE o.account_id = k.account_id AND o.currency = k.currency AND o.version = k.last OFFSET 0
    ) e ON TRUE
    LEFT JOIN LATERAL (
        SELECT o.version, o.layer, o.balance_after FROM ledger.entry o
        WHERE o.account_id = k.account_id AND o.currency = k.currency AND o.version = k.first - 1 OFFSET 0
    ) f ON TRUE
    WHERE a.status IS DISTINCT FROM 'open' OR a.is_summary OR a.shard <> h.shard
        OR b.version IS DISTINCT FROM k.last OR k.last - k.first + 1 <> k.entries
        OR (k.first > 1) <> (f.version IS NOT NULL)
        OR e.balance_after IS DISTINCT FROM CASE e.layer
            WHEN 1 THEN b.settled WHEN 2 THEN b.pending ELSE b.encumbered
        END
        OR CASE f.layer
            WHEN 1 THEN b.settled - k.settled <> f.balance_after
            WHEN 2 THEN b.pending - k.pending <> f.balance_after
            WHEN 3 THEN b.encumbered - k.encumbered <> f.balance_after
            -- the first entries of this balance
            ELSE (b.settled, b.pending, b.encumbered) <> (k.settled, k.pending, k.encumbered)
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

    IF told.has_causes THEN
        PERFORM ledger.causes_fit(the_batch);
    END IF;
    IF told.has_velocities THEN
        PERFORM ledger.velocities_fit(the_batch);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entry EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.effective_delta
    EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER by_hand BEFORE INSERT ON ledger.effective_delta
    WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION ledger.refuse_by_hand();
CREATE TRIGGER entries_fit AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.entries_fit();

-- Rights -------------------------------------------------------------------------------------------------------------------

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
GRANT EXECUTE
    ON FUNCTION ledger.layer_name(SMALLINT), ledger.batch_facts(ledger.batch), ledger.leg_key(JSON, INT), ledger.leg_key(TEXT)
    TO ballast_writer, ballast_executor, ballast_api, ballast_reader; -- the views and the indexes call them

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
