-- depends: 0003_treasury

-- Holds, groups, velocity limits, the hierarchy of accounts, and shards. What the writer judges is judged here again.
--
-- More errors of our own, by SQLSTATE:
--   LG010 the cause is not one for this     LG011 a hold does not add up     LG012 a reversal is no mirror
--   LG013 over a velocity limit             LG014 not a leaf, or of another shard

DROP VIEW ledger.chain;
DROP VIEW ledger.transactions;
DROP VIEW ledger.entries;

-- Transactions -------------------------------------------------------------------------------------------------------------

ALTER TABLE ledger.tx RENAME COLUMN reverses TO cause_tx_id;
ALTER TABLE ledger.tx
    ADD COLUMN relation TEXT COLLATE "C" CHECK (relation IN ('reverses', 'captures', 'voids', 'expires')),
    -- A capture that is not final leaves the rest of its hold held.
    ADD COLUMN is_final BOOLEAN CHECK (is_final OR relation = 'captures'),
    ADD COLUMN expires_at TIMESTAMPTZ,
    ADD COLUMN group_id TEXT COLLATE "C",
    ADD COLUMN group_size SMALLINT,
    -- The last so many entries are the ledger's own: they release what was left of a hold.
    ADD COLUMN n_added SMALLINT NOT NULL DEFAULT 0 CHECK (n_added BETWEEN 0 AND n_entries),
    -- The text as it was posted: its hash can be computed again. It is also cheaper to write than JSONB.
    ALTER COLUMN meta TYPE JSON USING meta::JSON;

ALTER TABLE ledger.tx DISABLE TRIGGER append_only;
UPDATE ledger.tx SET relation = 'reverses', is_final = TRUE WHERE cause_tx_id IS NOT NULL;
ALTER TABLE ledger.tx ENABLE TRIGGER append_only;

ALTER TABLE ledger.tx
    ADD CHECK ((relation IS NULL) = (cause_tx_id IS NULL)),
    ADD CHECK ((relation IS NULL) = (is_final IS NULL)),
    ADD CHECK ((group_id IS NULL) = (group_size IS NULL)),
    ADD CHECK (n_added = 0 OR (is_final AND relation <> 'reverses')),
    ADD CHECK (cause_tx_id <> tx_id);

-- Who asks for the transactions of a matter knows when they happened. By time the index grows at its right end, however
-- large it is; by matter alone every batch would touch all of it.
DROP INDEX ledger.tx_correlation;
CREATE INDEX tx_effective ON ledger.tx (effective_at, correlation_id);

-- Batches ------------------------------------------------------------------------------------------------------------------

-- The writer says what its rows come to, and the database links it: the hash covers everything that is said of the batch,
-- when it was recorded included. Batches from before have no `content_hash`; of them only the rows are covered.
ALTER TABLE ledger.batch
    ADD COLUMN content_hash BYTEA CHECK (length(content_hash) = 32),
    ALTER COLUMN source TYPE JSON USING source::JSON;

CREATE FUNCTION ledger.batch_facts(b ledger.batch) RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT concat_ws(
        E'\t', b.batch_id, b.shard, b.fence, b.n_tx, b.n_entries, b.n_duplicates, b.n_conflicts, b.n_rejected, b.source,
        (extract(EPOCH FROM b.recorded_at) * 1000000)::BIGINT
    )
$$;

CREATE OR REPLACE FUNCTION ledger.batch_begins() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
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
    IF NEW.content_hash IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'LG008', MESSAGE = 'batch does not say what its rows come to';
    END IF;
    -- Not when the transaction began, which may have waited since: a later batch was never recorded earlier.
    NEW.recorded_at := greatest(clock_timestamp(), last_one.recorded_at);
    NEW.hash := sha256(NEW.prev_hash || NEW.content_hash || convert_to(ledger.batch_facts(NEW), 'UTF8'));
    RETURN NEW;
END $$;

-- Accounts -----------------------------------------------------------------------------------------------------------------

-- An account that others have as their parent takes no entries: it is the sum of its leaves.
ALTER TABLE ledger.account ADD COLUMN is_summary BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX account_parent ON ledger.account (parent_id) WHERE parent_id IS NOT NULL;

CREATE FUNCTION ledger.account_has_parent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    up INT := NEW.parent_id;
BEGIN
    IF EXISTS (SELECT FROM ledger.balance b WHERE b.account_id = NEW.parent_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG014',
            MESSAGE = 'account ' || NEW.parent_id || ' has entries and cannot be the parent of ' || NEW.code;
    END IF;
    WHILE up IS NOT NULL LOOP
        IF up = NEW.account_id THEN
            RAISE EXCEPTION USING ERRCODE = 'LG014', MESSAGE = 'account ' || NEW.code || ' cannot be above itself';
        END IF;
        SELECT a.parent_id INTO up FROM ledger.account a WHERE a.account_id = up;
    END LOOP;
    UPDATE ledger.account a SET is_summary = TRUE WHERE a.account_id = NEW.parent_id AND NOT a.is_summary;
    RETURN NEW;
END $$;

CREATE TRIGGER account_has_parent BEFORE INSERT OR UPDATE OF parent_id ON ledger.account
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION ledger.account_has_parent();

-- By how much what is available of an account may fall within a window of effective time. Windows are as long as
-- `window_seconds` and start at its multiples, counted from 1970-01-01 UTC.
CREATE TABLE ledger.velocity_limit (
    account_id INT NOT NULL REFERENCES ledger.account,
    currency TEXT COLLATE "C" NOT NULL,
    window_seconds INT NOT NULL CHECK (window_seconds > 0),
    amount_max NUMERIC(38, 0) NOT NULL CHECK (amount_max >= 0),
    PRIMARY KEY (account_id, currency, window_seconds)
);

CREATE TABLE ledger.velocity_use (
    account_id INT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    window_seconds INT NOT NULL,
    window_start BIGINT NOT NULL, -- epoch seconds
    used NUMERIC(38, 0) NOT NULL,
    PRIMARY KEY (account_id, currency, window_seconds, window_start)
) WITH (fillfactor = 70);

CREATE TRIGGER reference_changes BEFORE INSERT OR UPDATE OR DELETE ON ledger.velocity_limit
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.reference_changes();

-- Headers ------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION ledger.headers_fit() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
                'transaction ' || bad.tx_id || ' ' || bad.relation || ' ' || bad.cause_tx_id || ', which is not there or not then';
        END IF;
        INSERT INTO ledger.resolution (cause_tx_id, relation, part, is_final, tx_id)
        SELECT
            n.cause_tx_id,
            CASE n.relation WHEN 'reverses' THEN 'reversed' WHEN 'captures' THEN 'captured' WHEN 'voids' THEN 'voided' ELSE 'expired' END,
            CASE n.relation WHEN 'captures' THEN
                (SELECT count(*) FROM ledger.resolution r WHERE r.cause_tx_id = n.cause_tx_id AND r.relation = 'captured')
                + row_number() OVER (PARTITION BY n.cause_tx_id, n.relation ORDER BY n.position)
            ELSE 0 END,
            n.is_final,
            n.tx_id
        FROM new_rows n WHERE n.cause_tx_id IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;

-- Entries ------------------------------------------------------------------------------------------------------------------

-- What is released was held, by the hold that is named; a hold that has ended holds nothing; a reversal is a mirror.
CREATE FUNCTION ledger.causes_fit(the_batch BIGINT) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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

CREATE OR REPLACE FUNCTION ledger.entries_fit() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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

-- Views, again -------------------------------------------------------------------------------------------------------------

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
    t.relation,
    t.cause_tx_id,
    t.source,
    t.source_offset,
    t.batch_id,
    t.position,
    a.journal
FROM ledger.entry e
JOIN ledger.tx t USING (tx_id)
JOIN ledger.batch b USING (batch_id)
JOIN ledger.account a USING (account_id);

CREATE VIEW ledger.transactions AS
SELECT
    t.tx_id,
    t.template,
    t.effective_at,
    b.recorded_at,
    t.n_entries,
    t.correlation_id,
    t.relation,
    t.cause_tx_id,
    t.is_final,
    t.expires_at,
    t.group_id,
    r.tx_id AS reversed_by,
    t.source,
    t.source_offset,
    t.batch_id,
    t.position,
    t.meta
FROM ledger.tx t
JOIN ledger.batch b USING (batch_id)
LEFT JOIN ledger.resolution r ON r.cause_tx_id = t.tx_id AND r.relation = 'reversed';

-- What was hashed of a batch, computed again from its rows. What a reversal says of its cause is its id alone, as it was
-- before there were other relations; what a rejection says was less, and conflicts were not there at all.
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
            CASE t.relation WHEN 'reverses' THEN '' ELSE t.relation || ' ' END || t.cause_tx_id, -- NULL is left out
            CASE WHEN t.cause_tx_id IS NULL THEN '-' END,
            t.source, t.source_offset, encode(t.body_hash, 'hex')
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
        CASE WHEN b.content_hash IS NULL
            THEN concat_ws(E'\t', j.tx_id, j.reason, encode(j.body_hash, 'hex'))
            ELSE concat_ws(
                E'\t', j.tx_id, j.reason, coalesce(j.account, '-'), coalesce(j.currency, '-'),
                coalesce(j.shortfall::TEXT, '-'), j.template, j.source, j.source_offset, encode(j.body_hash, 'hex')
            )
        END || E'\n', '' ORDER BY j.position
    ) AS lines
    FROM ledger.reject j WHERE j.batch_id = b.batch_id
) r ON TRUE
LEFT JOIN LATERAL (
    SELECT string_agg(
        concat_ws(E'\t', j.tx_id, encode(j.body_hash, 'hex'), j.template, j.source, j.source_offset) || E'\n', ''
        ORDER BY j.tx_id, j.body_hash
    ) AS lines
    FROM ledger.conflict j WHERE j.batch_id = b.batch_id AND b.content_hash IS NOT NULL
) c ON TRUE;

CREATE VIEW ledger.chain AS
SELECT
    b.batch_id,
    b.shard,
    b.hash = CASE WHEN b.content_hash IS NULL
        THEN sha256(b.prev_hash || l.lines)
        ELSE sha256(b.prev_hash || sha256(l.lines) || convert_to(ledger.batch_facts(b), 'UTF8'))
    END AS is_intact,
    b.prev_hash = lag(b.hash, 1, decode(repeat('00', 32), 'hex')) OVER (
        PARTITION BY b.shard ORDER BY b.batch_id
    ) AS is_linked
FROM ledger.batch b
JOIN ledger.batch_lines l USING (batch_id);
