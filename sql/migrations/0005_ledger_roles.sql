-- depends: 0004_ledger_semantics

-- Who may do what. Five roles that nobody logs in as: a login is a member of those that it needs, and a connection takes
-- one of them when it starts. Roles belong to the server and not to the database, so they may be there already.
--
--   ballast_migrator  owns schemas, tables and functions          ballast_executor  orders, transfers, decisions, quarantine
--   ballast_writer    posts: batches and all that is in them      ballast_api       accounts, limits, closed periods
--   ballast_reader    reads everything
--
-- What only the ledger's triggers write (seals, resolutions, sums by date, use of velocity limits) is granted to nobody:
-- those functions run with the rights of their owner, so it cannot be forged.

DO $$
DECLARE
    role_name TEXT;
    roles CONSTANT TEXT[] := ARRAY['ballast_migrator', 'ballast_writer', 'ballast_executor', 'ballast_api', 'ballast_reader'];
BEGIN
    FOREACH role_name IN ARRAY roles LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = role_name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this server was migrated at the same moment
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format(
                    'user %I may not create roles: let a superuser run "%s GRANT %s TO %I;"', current_user,
                    (SELECT string_agg(format('CREATE ROLE %I NOLOGIN;', name), ' ' ORDER BY name) FROM unnest(roles) name
                        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = name)),
                    array_to_string(roles, ', '), current_user);
        END;
    END LOOP;

    -- Who migrates owned everything so far and goes on with it, as a member of the owner and of those that it grants to.
    FOREACH role_name IN ARRAY roles LOOP
        CONTINUE WHEN current_setting('is_superuser') = 'on';
        BEGIN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
            NULL; -- the owner stays who it is; a connection that lacks a role says what to grant
        END;
    END LOOP;
END $$;

-- Functions ----------------------------------------------------------------------------------------------------------------

-- A guard must not look for its operators where somebody else may have put some.
DO $$
DECLARE
    guard REGPROCEDURE;
BEGIN
    FOR guard IN
        SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace IN ('ledger'::REGNAMESPACE, 'treasury'::REGNAMESPACE) AND l.lanname = 'plpgsql'
        ORDER BY p.oid
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', guard);
    END LOOP;
END $$;

ALTER FUNCTION ledger.headers_fit() SECURITY DEFINER;       -- writes resolutions
ALTER FUNCTION ledger.entries_fit() SECURITY DEFINER;       -- writes seals, sums by date, use of velocity limits
ALTER FUNCTION ledger.account_changes() SECURITY DEFINER;   -- copies limits to balances
ALTER FUNCTION ledger.account_has_parent() SECURITY DEFINER;-- marks the parent as a summary
ALTER FUNCTION ledger.reference_changes() SECURITY DEFINER; -- tells the writers

-- A function that may be called may also be put on a table of one's own, and would write there with its owner's rights.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger, treasury FROM PUBLIC;

-- Who was fenced stays fenced.
CREATE FUNCTION ledger.fence_grows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'LG007',
        MESSAGE = 'the fence of shard ' || OLD.shard || ' is ' || OLD.fence || ' and cannot fall to ' || NEW.fence;
END $$;
REVOKE EXECUTE ON FUNCTION ledger.fence_grows() FROM PUBLIC;

CREATE TRIGGER fence_grows BEFORE UPDATE ON ledger.writer
    FOR EACH ROW WHEN (NEW.fence < OLD.fence OR NEW.shard <> OLD.shard) EXECUTE FUNCTION ledger.fence_grows();

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
REVOKE EXECUTE ON FUNCTION ledger.batch_takes() FROM PUBLIC;

CREATE TRIGGER batch_takes AFTER INSERT ON ledger.tx REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.batch_takes();
CREATE TRIGGER batch_takes AFTER INSERT ON ledger.reject REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.batch_takes();
CREATE TRIGGER batch_takes AFTER INSERT ON ledger.conflict REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.batch_takes();

-- A balance moves with its version, in the transaction of its batch, and by as many versions as the batch has entries: each
-- statement says here how many it moved, and the end of the batch compares. So no balance is moved without entries.
CREATE TABLE ledger.balance_seal (
    batch_id BIGINT NOT NULL,
    n_versions BIGINT NOT NULL
);
CREATE INDEX balance_seal_batch ON ledger.balance_seal (batch_id);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.balance_seal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

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

CREATE FUNCTION ledger.balances_moved(the_batch BIGINT, n_versions NUMERIC) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.batch b WHERE b.batch_id = the_batch AND b.xmin = pg_current_xact_id()::XID) THEN
        RAISE EXCEPTION USING ERRCODE = 'LG004', MESSAGE = 'balances do not move without a batch of this transaction';
    END IF;
    INSERT INTO ledger.balance_seal VALUES (the_batch, n_versions);
END $$;

REVOKE EXECUTE ON FUNCTION ledger.balances_move(), ledger.balances_open(), ledger.balances_moved(BIGINT, NUMERIC) FROM PUBLIC;

CREATE TRIGGER balances_move AFTER UPDATE ON ledger.balance REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.balances_move();
CREATE TRIGGER balances_open AFTER INSERT ON ledger.balance REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.balances_open();

CREATE OR REPLACE FUNCTION ledger.batch_ends() RETURNS trigger LANGUAGE plpgsql
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

CREATE INDEX conflict_batch ON ledger.conflict (batch_id);

-- Only what ends a hold has entries of the ledger's own: a header without a relation has none.
ALTER TABLE ledger.tx ADD CHECK (n_added = 0 OR coalesce(is_final AND relation <> 'reverses', FALSE));

-- Who closed a period is the login: the role says only what it may do.
ALTER TABLE ledger.closed_period ALTER COLUMN closed_by SET DEFAULT session_user;

-- Rights -------------------------------------------------------------------------------------------------------------------

REVOKE ALL ON SCHEMA ledger, treasury FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA ledger, treasury FROM PUBLIC;

GRANT USAGE ON SCHEMA ledger TO ballast_writer, ballast_executor, ballast_api, ballast_reader;
GRANT USAGE ON SCHEMA treasury TO ballast_executor, ballast_reader;
GRANT EXECUTE ON FUNCTION ledger.layer_name(SMALLINT), ledger.batch_facts(ledger.batch)
    TO ballast_writer, ballast_executor, ballast_api, ballast_reader; -- the views call it

GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO ballast_writer, ballast_api, ballast_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA treasury TO ballast_reader;
-- What the migrations after this one create is read by the same.
ALTER DEFAULT PRIVILEGES IN SCHEMA ledger GRANT SELECT ON TABLES TO ballast_writer, ballast_api, ballast_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA treasury GRANT SELECT ON TABLES TO ballast_reader;

-- The writer. Ids of batches, times of recording and copies of limits are the database's: those columns are left out.
GRANT INSERT (shard, fence, host, pid), UPDATE (fence, host, pid, since) ON ledger.writer TO ballast_writer;
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
-- It opens the accounts of the chart, and can only add to their limits.
GRANT
    INSERT (
        account_id, code, journal, normal_side, currency, status, min_available, max_balance, shard, parent_id, meaning
    )
    ON ledger.account TO ballast_writer;
GRANT INSERT ON ledger.velocity_limit TO ballast_writer;

-- The API. An account gets its id from the database; who has accounts and limits in hand cannot move money.
GRANT
    INSERT (code, journal, normal_side, currency, status, min_available, max_balance, shard, parent_id, meaning),
    UPDATE (status, min_available, max_balance)
    ON ledger.account TO ballast_api;
GRANT INSERT, UPDATE (amount_max), DELETE ON ledger.velocity_limit TO ballast_api;
GRANT INSERT (closed_until, manifest) ON ledger.closed_period TO ballast_api;

-- The executor. Of an order or a transfer it changes what became of it, never what was asked for.
GRANT SELECT ON
    ledger.entries, ledger.transactions, ledger.balances, ledger.balances_by_layer, ledger.trial_balance,
    ledger.effective_balances, ledger.rejected, ledger.chain
    TO ballast_executor;
GRANT SELECT ON treasury.decision, treasury.venue_order, treasury.venue_transfer, treasury.state_change TO ballast_executor;
GRANT INSERT (id, kind, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats, as_of)
    ON treasury.decision TO ballast_executor;
GRANT
    INSERT (
        client_order_id, decision_id, venue, instrument, action, contracts, based_on_sequence, as_of, state, reserved_at
    ),
    UPDATE (state, filled, venue_sequence, reason, sent_at, finished_at)
    ON treasury.venue_order TO ballast_executor;
GRANT
    INSERT (
        client_transfer_id, decision_id, venue, kind, amount_sats, based_on_sequence, as_of, state, reserved_at
    ),
    UPDATE (state, venue_sequence, reason, sent_at, finished_at)
    ON treasury.venue_transfer TO ballast_executor;
GRANT INSERT (what, client_id, decision_id, venue, state, filled, venue_sequence, reason, changed_at)
    ON treasury.state_change TO ballast_executor;
GRANT INSERT (topic, partition, "offset", reason, detail, key, raw) ON treasury.quarantine TO ballast_executor;

-- Owners -------------------------------------------------------------------------------------------------------------------

-- Whoever starts looks whether migrations are missing; the tool's own tables tell.
DO $$
DECLARE
    known TEXT;
BEGIN
    FOREACH known IN ARRAY ARRAY['_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock'] LOOP
        CONTINUE WHEN to_regclass(known) IS NULL;
        EXECUTE format('GRANT ALL ON %I TO ballast_migrator', known);
        EXECUTE format('GRANT SELECT ON %I TO ballast_writer, ballast_executor, ballast_api, ballast_reader', known);
    END LOOP;
END $$;

-- Functions that run with their owner's rights should not run with those of a superuser.
DO $$
DECLARE
    owned RECORD;
    homes CONSTANT OID[] := ARRAY['ledger'::REGNAMESPACE::OID, 'treasury'::REGNAMESPACE::OID];
BEGIN
    ALTER SCHEMA ledger OWNER TO ballast_migrator;
    ALTER SCHEMA treasury OWNER TO ballast_migrator;
    FOR owned IN
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::REGCLASS::TEXT AS name
        FROM pg_catalog.pg_class c WHERE c.relnamespace = ANY (homes) AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT 'FUNCTION', p.oid::REGPROCEDURE::TEXT FROM pg_catalog.pg_proc p WHERE p.pronamespace = ANY (homes)
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO ballast_migrator', owned.kind, owned.name);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'schemas and tables stay with %: it is no member of ballast_migrator', current_user;
END $$;
