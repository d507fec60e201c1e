-- depends: 0005_ledger_roles

-- Reading the ledger: balances at any time by either axis, statements, the hierarchy of accounts, what is held, what has
-- not cleared, and sealed periods.
--
-- There are two axes of time. *Recorded* is when the ledger learned of something: a balance of yesterday by recorded time
-- never changes again. *Effective* is when it happened: a late transaction changes the balances from its own time on. A
-- balance as of a time has in it what was recorded, or effective, at that time or before; a period goes from its first
-- moment up to its last, without it.
--
-- Amounts are in minor units, in the account's normal direction unless a column says debit or credit.
--
-- One more error of our own, by SQLSTATE:
--   LG015 sealed already

CREATE INDEX batch_recorded ON ledger.batch (shard, recorded_at, batch_id);
-- Most accounts are never held on: their last held entry is found without reading all others.
CREATE INDEX entry_held ON ledger.entry (account_id, currency, layer, version) WHERE layer > 1;

-- Accounts -----------------------------------------------------------------------------------------------------------------

-- The leaves at or below an account: itself, if it has no others below it.
CREATE FUNCTION ledger.leaves(the_account TEXT) RETURNS TABLE (account_id INT, shard SMALLINT)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE below AS (
        SELECT a.account_id, a.shard, a.is_summary FROM ledger.account a WHERE a.code = the_account
        UNION ALL
        SELECT a.account_id, a.shard, a.is_summary
        FROM below b JOIN ledger.account a ON a.parent_id = b.account_id
    )
    SELECT b.account_id, b.shard FROM below b WHERE NOT b.is_summary
$$;

-- Every account with every account at or above it.
CREATE VIEW ledger.hierarchy AS
WITH RECURSIVE up AS (
    SELECT a.account_id, a.account_id AS above_id, a.parent_id, 0 AS depth FROM ledger.account a
    UNION ALL
    SELECT u.account_id, a.account_id, a.parent_id, u.depth + 1
    FROM up u JOIN ledger.account a ON a.account_id = u.parent_id
)
SELECT u.account_id, u.above_id, u.depth FROM up u;

-- Balances of all accounts, where an account that has others below it is the sum of its leaves.
CREATE VIEW ledger.rolled_up_balances AS
SELECT
    a.code AS account,
    b.currency,
    a.is_summary,
    a.normal_side * sum(b.settled_debit - b.settled_credit) AS settled,
    a.normal_side * sum(b.pending_debit - b.pending_credit) AS pending,
    a.normal_side * sum(b.encumbered_debit - b.encumbered_credit) AS encumbered,
    CASE a.normal_side
        WHEN 1 THEN sum(b.settled_debit - b.settled_credit - b.pending_credit - b.encumbered_credit)
        ELSE sum(b.settled_credit - b.settled_debit - b.pending_debit - b.encumbered_debit)
    END AS available,
    count(*) AS leaves
FROM ledger.hierarchy h
JOIN ledger.account a ON a.account_id = h.above_id
JOIN ledger.balance b ON b.account_id = h.account_id
GROUP BY a.account_id, b.currency;

-- Balances at a time -------------------------------------------------------------------------------------------------------

-- The last batch of a shard that was recorded at a time or before; 0 if there is none.
CREATE FUNCTION ledger.batch_recorded(the_shard SMALLINT, as_of TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT b.batch_id FROM ledger.batch b WHERE b.shard = the_shard AND b.recorded_at <= as_of
        ORDER BY b.recorded_at DESC, b.batch_id DESC LIMIT 1
    ), 0)
$$;

-- How many entries an account had in a currency when a batch was written. Versions grow with batches, so this halves its
-- way to the answer: two dozen look-ups among ten million entries.
CREATE FUNCTION ledger.version_recorded(the_account_id INT, the_currency TEXT, the_batch BIGINT) RETURNS BIGINT
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low BIGINT := 0;
    high BIGINT;
    middle BIGINT;
BEGIN
    SELECT b.version INTO high FROM ledger.balance b WHERE b.account_id = the_account_id AND b.currency = the_currency;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF EXISTS (
            SELECT FROM ledger.entry e JOIN ledger.tx t USING (tx_id)
            WHERE e.account_id = the_account_id AND e.currency = the_currency AND e.version = middle
                AND t.batch_id <= the_batch
        ) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- Debits less credits after a version.
CREATE FUNCTION ledger.net_at_version(the_account_id INT, the_currency TEXT, the_layer SMALLINT, the_version BIGINT)
RETURNS NUMERIC LANGUAGE plpgsql STABLE AS $$
DECLARE
    net NUMERIC;
BEGIN
    IF the_layer = 1 THEN
        SELECT e.balance_after INTO net FROM ledger.entry e
        WHERE e.account_id = the_account_id AND e.currency = the_currency AND e.layer = 1 AND e.version <= the_version
        ORDER BY e.version DESC LIMIT 1;
    ELSE
        SELECT e.balance_after INTO net FROM ledger.entry e
        WHERE e.account_id = the_account_id AND e.currency = the_currency AND e.layer = the_layer AND e.layer > 1
            AND e.version <= the_version
        ORDER BY e.version DESC LIMIT 1;
    END IF;
    RETURN coalesce(net, 0);
END $$;

-- What an account, or all below it, came to, going by what was recorded at `as_of` or before.
CREATE FUNCTION ledger.balance_recorded(account TEXT, as_of TIMESTAMPTZ)
RETURNS TABLE (currency TEXT, layer TEXT, balance NUMERIC) LANGUAGE sql STABLE AS $$
    WITH reached AS MATERIALIZED (
        SELECT b.account_id, b.currency,
            ledger.version_recorded(b.account_id, b.currency, ledger.batch_recorded(l.shard, as_of)) AS version
        FROM ledger.leaves(account) l JOIN ledger.balance b USING (account_id)
    )
    SELECT r.currency, ledger.layer_name(k.layer), a.normal_side * sum(
        ledger.net_at_version(r.account_id, r.currency, k.layer, r.version)
    )
    FROM reached r
    CROSS JOIN (VALUES (1::SMALLINT), (2::SMALLINT), (3::SMALLINT)) k (layer)
    JOIN ledger.account a ON a.code = account
    WHERE r.version > 0
    GROUP BY r.currency, k.layer, a.normal_side
    ORDER BY r.currency, k.layer
$$;

-- What an account, or all below it, came to, going by what had happened at `as_of` or before. Whole days are sums that are
-- kept; of the last day the entries are read.
CREATE FUNCTION ledger.balance_effective(account TEXT, as_of TIMESTAMPTZ)
RETURNS TABLE (currency TEXT, layer TEXT, balance NUMERIC) LANGUAGE sql STABLE AS $$
    WITH leaf AS MATERIALIZED (SELECT l.account_id FROM ledger.leaves(account) l),
    moved AS (
        SELECT d.currency, d.layer, d.delta
        FROM leaf l JOIN ledger.effective_delta d USING (account_id)
        WHERE d.effective_date < (as_of AT TIME ZONE 'UTC')::DATE
        UNION ALL
        SELECT e.currency, e.layer, e.side * e.amount
        FROM ledger.tx t JOIN ledger.entry e USING (tx_id) JOIN leaf l ON l.account_id = e.account_id
        WHERE t.effective_at >= date_trunc('day', as_of, 'UTC') AND t.effective_at <= as_of
    ),
    summed AS (SELECT m.currency, m.layer, sum(m.delta) AS net FROM moved m GROUP BY m.currency, m.layer)
    SELECT c.currency, ledger.layer_name(k.layer), a.normal_side * coalesce(s.net, 0)
    FROM (SELECT DISTINCT x.currency FROM summed x) c
    CROSS JOIN (VALUES (1::SMALLINT), (2::SMALLINT), (3::SMALLINT)) k (layer)
    JOIN ledger.account a ON a.code = account
    LEFT JOIN summed s ON s.currency = c.currency AND s.layer = k.layer
    ORDER BY c.currency, k.layer
$$;

-- Trial balances -----------------------------------------------------------------------------------------------------------

-- A transaction balances per currency and layer, and may go from one journal to another, as clearing does.
CREATE OR REPLACE VIEW ledger.trial_balance AS
SELECT
    a.journal,
    l.currency,
    l.layer,
    sum(l.debit) AS debits,
    sum(l.credit) AS credits,
    sum(sum(l.debit)) OVER kind = sum(sum(l.credit)) OVER kind AS is_balanced
FROM ledger.balances_by_layer l
JOIN ledger.account a ON a.code = l.account
GROUP BY a.journal, l.currency, l.layer
WINDOW kind AS (PARTITION BY l.currency, l.layer);

-- Every leaf with its balance in the column of its side; the columns of a currency and layer are equal.
CREATE FUNCTION ledger.trial_balance_recorded(as_of TIMESTAMPTZ)
RETURNS TABLE (account TEXT, currency TEXT, layer TEXT, debit NUMERIC, credit NUMERIC) LANGUAGE sql STABLE AS $$
    SELECT a.code, d.currency, ledger.layer_name(d.layer),
        greatest(sum(d.delta), 0), greatest(-sum(d.delta), 0)
    FROM (SELECT s.shard, ledger.batch_recorded(s.shard, as_of) AS last_batch FROM ledger.writer s) w
    JOIN ledger.account a ON a.shard = w.shard
    JOIN ledger.effective_delta d ON d.account_id = a.account_id AND d.batch_id <= w.last_batch
    GROUP BY a.account_id, d.currency, d.layer
    HAVING sum(d.delta) <> 0
    ORDER BY a.code, d.currency, d.layer
$$;

CREATE FUNCTION ledger.trial_balance_effective(as_of TIMESTAMPTZ)
RETURNS TABLE (account TEXT, currency TEXT, layer TEXT, debit NUMERIC, credit NUMERIC) LANGUAGE sql STABLE AS $$
    WITH moved AS (
        SELECT d.account_id, d.currency, d.layer, d.delta FROM ledger.effective_delta d
        WHERE d.effective_date < (as_of AT TIME ZONE 'UTC')::DATE
        UNION ALL
        SELECT e.account_id, e.currency, e.layer, e.side * e.amount
        FROM ledger.tx t JOIN ledger.entry e USING (tx_id)
        WHERE t.effective_at >= date_trunc('day', as_of, 'UTC') AND t.effective_at <= as_of
    )
    SELECT a.code, m.currency, ledger.layer_name(m.layer), greatest(sum(m.delta), 0), greatest(-sum(m.delta), 0)
    FROM moved m JOIN ledger.account a USING (account_id)
    GROUP BY a.account_id, m.currency, m.layer
    HAVING sum(m.delta) <> 0
    ORDER BY a.code, m.currency, m.layer
$$;

-- Statements ---------------------------------------------------------------------------------------------------------------

-- One row that opens each currency and layer, one per entry, one that closes; `axis` is recorded or effective.
CREATE FUNCTION ledger.statement(
    account TEXT, since TIMESTAMPTZ, until TIMESTAMPTZ, axis TEXT DEFAULT 'recorded', only_currency TEXT DEFAULT NULL
) RETURNS TABLE (
    line TEXT, currency TEXT, layer TEXT, effective_at TIMESTAMPTZ, recorded_at TIMESTAMPTZ, leaf TEXT, template TEXT,
    debit NUMERIC, credit NUMERIC, balance NUMERIC, tx_id UUID, correlation_id UUID, source TEXT, source_offset BIGINT
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    just_before TIMESTAMPTZ := since - INTERVAL '1 microsecond';
    the_side SMALLINT;
BEGIN
    IF axis NOT IN ('recorded', 'effective') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the axis of a statement is recorded or effective';
    END IF;
    SELECT a.normal_side INTO the_side FROM ledger.account a WHERE a.code = account;
    RETURN QUERY
    WITH opening AS (
        SELECT o.currency, o.layer, o.balance FROM ledger.balance_recorded(account, just_before) o WHERE axis = 'recorded'
        UNION ALL
        SELECT o.currency, o.layer, o.balance FROM ledger.balance_effective(account, just_before) o WHERE axis = 'effective'
    ),
    -- By recorded time an account's entries are found by version, by effective time by its day.
    reached AS (
        SELECT b.account_id, b.currency,
            ledger.version_recorded(b.account_id, b.currency, ledger.batch_recorded(l.shard, just_before)) AS first,
            ledger.version_recorded(b.account_id, b.currency,
                ledger.batch_recorded(l.shard, until - INTERVAL '1 microsecond')) AS last
        FROM ledger.leaves(account) l JOIN ledger.balance b USING (account_id) WHERE axis = 'recorded'
    ),
    found AS (
        SELECT e.* FROM reached r JOIN ledger.entry e
            ON e.account_id = r.account_id AND e.currency = r.currency AND e.version > r.first AND e.version <= r.last
        UNION ALL
        SELECT e.* FROM ledger.tx t JOIN ledger.entry e USING (tx_id) JOIN ledger.leaves(account) l USING (account_id)
        WHERE axis = 'effective' AND t.effective_at >= since AND t.effective_at < until
    ),
    listed AS (
        SELECT f.currency, ledger.layer_name(f.layer) AS layer, t.effective_at, b.recorded_at, a.code AS leaf, t.template,
            f.side * f.amount AS moved, f.side, f.amount, t.tx_id, t.correlation_id, t.source, t.source_offset,
            row_number() OVER (
                ORDER BY CASE WHEN axis = 'effective' THEN t.effective_at END, t.batch_id, t.position, f.leg
            ) AS place
        FROM found f
        JOIN ledger.tx t USING (tx_id)
        JOIN ledger.batch b USING (batch_id)
        JOIN ledger.account a ON a.account_id = f.account_id
    ),
    lines AS (
        SELECT l.*, coalesce(o.balance, 0) + the_side * sum(l.moved) OVER (
            PARTITION BY l.currency, l.layer ORDER BY l.place
        ) AS balance
        FROM listed l LEFT JOIN opening o USING (currency, layer)
    ),
    kinds AS (SELECT l.currency, l.layer FROM lines l UNION SELECT o.currency, o.layer FROM opening o WHERE o.balance <> 0),
    told AS (
        SELECT 'opening' AS line, 0 AS part, k.currency, k.layer, coalesce(o.balance, 0) AS balance
        FROM kinds k LEFT JOIN opening o USING (currency, layer)
        UNION ALL
        SELECT 'closing', 2, k.currency, k.layer, coalesce(c.balance, o.balance, 0)
        FROM kinds k LEFT JOIN opening o USING (currency, layer)
        LEFT JOIN (
            SELECT DISTINCT ON (l.currency, l.layer) l.currency, l.layer, l.balance
            FROM lines l ORDER BY l.currency, l.layer, l.place DESC
        ) c USING (currency, layer)
    ),
    everything AS (
        SELECT t.line, t.part, 0::BIGINT AS place, t.currency, t.layer, NULL::TIMESTAMPTZ AS effective_at,
            NULL::TIMESTAMPTZ AS recorded_at, NULL::TEXT AS leaf, NULL::TEXT AS template, NULL::NUMERIC AS debit,
            NULL::NUMERIC AS credit, t.balance, NULL::UUID AS tx_id, NULL::UUID AS correlation_id, NULL::TEXT AS source,
            NULL::BIGINT AS source_offset
        FROM told t
        UNION ALL
        SELECT 'entry', 1, l.place, l.currency, l.layer, l.effective_at, l.recorded_at, l.leaf, l.template,
            CASE WHEN l.side = 1 THEN l.amount END, CASE WHEN l.side = -1 THEN l.amount END, l.balance, l.tx_id,
            l.correlation_id, l.source, l.source_offset
        FROM lines l
    )
    SELECT v.line, v.currency, v.layer, v.effective_at, v.recorded_at, v.leaf, v.template, v.debit, v.credit, v.balance,
        v.tx_id, v.correlation_id, v.source, v.source_offset
    FROM everything v
    WHERE only_currency IS NULL OR v.currency = only_currency
    ORDER BY v.currency, CASE v.layer WHEN 'settled' THEN 1 WHEN 'pending' THEN 2 ELSE 3 END, v.part, v.place;
END $$;

-- What is open -------------------------------------------------------------------------------------------------------------

-- What every hold still holds. Held is in the direction of its side: debit or credit.
CREATE VIEW ledger.open_holds AS
SELECT
    t.tx_id,
    t.template,
    a.code AS account,
    k.currency,
    ledger.layer_name(k.layer) AS layer,
    CASE k.side WHEN 1 THEN 'debit' ELSE 'credit' END AS side,
    k.held,
    k.is_left AS left_over,
    t.effective_at,
    t.expires_at,
    t.correlation_id
FROM ledger.tx t
CROSS JOIN LATERAL (
    SELECT e.account_id, e.currency, e.layer, e.side,
        sum(e.amount) FILTER (WHERE e.tx_id = t.tx_id) AS held, sum(e.amount) AS is_left
    FROM (
        SELECT t.tx_id AS tx_id
        UNION ALL
        SELECT r.tx_id FROM ledger.resolution r WHERE r.cause_tx_id = t.tx_id AND r.relation <> 'reversed'
    ) s
    JOIN ledger.entry e ON e.tx_id = s.tx_id
    WHERE e.layer > 1
    GROUP BY e.account_id, e.currency, e.layer, e.side
) k
JOIN ledger.account a ON a.account_id = k.account_id
WHERE t.tx_id IN (SELECT e.tx_id FROM ledger.entry e WHERE e.layer > 1)
    AND t.relation IS NULL
    AND NOT EXISTS (
        SELECT FROM ledger.resolution r WHERE r.cause_tx_id = t.tx_id AND r.is_final AND r.relation <> 'reversed'
    )
    AND k.is_left <> 0;

-- A transfer between shards goes through a clearing account in each: CLEARING/0/1 in shard 0 and CLEARING/1/0 in shard 1.
-- Together they come to zero for every matter; one that does not is a break.
CREATE VIEW ledger.clearing AS
SELECT a.account_id, a.code AS account, a.shard, k.mirror, least(a.code, k.mirror) AS pair
FROM ledger.account a
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.code ~ '^CLEARING/[0-9]+/[0-9]+$'
        THEN 'CLEARING/' || split_part(a.code, '/', 3) || '/' || split_part(a.code, '/', 2)
    END AS mirror
) k
WHERE a.journal = 'Clearing';

CREATE FUNCTION ledger.clearing_breaks(as_of TIMESTAMPTZ DEFAULT now())
RETURNS TABLE (
    pair TEXT, correlation_id UUID, currency TEXT, layer TEXT, amount NUMERIC, age INTERVAL, first_effective_at TIMESTAMPTZ,
    newest_template TEXT, missing TEXT, transactions BIGINT
) LANGUAGE sql STABLE AS $$
    SELECT
        c.pair,
        t.correlation_id,
        e.currency,
        ledger.layer_name(e.layer),
        sum(e.side * e.amount),
        as_of - min(t.effective_at),
        min(t.effective_at),
        (array_agg(t.template ORDER BY t.effective_at DESC, t.tx_id DESC))[1],
        -- The other half of what is there; if both are there, their amounts differ.
        CASE WHEN count(DISTINCT c.account) = 1 THEN min(c.mirror) END,
        count(DISTINCT t.tx_id)
    FROM ledger.clearing c JOIN ledger.entry e USING (account_id) JOIN ledger.tx t USING (tx_id)
    GROUP BY c.pair, t.correlation_id, e.currency, e.layer
    HAVING sum(e.side * e.amount) <> 0
    ORDER BY 7, 2, 3, 4
$$;

CREATE VIEW ledger.clearing_breaks AS SELECT * FROM ledger.clearing_breaks();

-- Sealed periods -----------------------------------------------------------------------------------------------------------

-- What happened from `since` up to `until`, by UTC day: counts, sums, and a hash that names every transaction and its body.
-- `batches` are the ends of the chains: while they are there, nothing before them was changed unseen.
CREATE FUNCTION ledger.manifest_days(since TIMESTAMPTZ, until TIMESTAMPTZ) RETURNS JSONB LANGUAGE sql STABLE AS $$
    WITH happened AS MATERIALIZED (
        SELECT t.tx_id, t.body_hash, (t.effective_at AT TIME ZONE 'UTC')::DATE AS day
        FROM ledger.tx t WHERE t.effective_at >= since AND t.effective_at < until
    ),
    transactions AS (
        SELECT h.day, count(*) AS transactions, encode(sha256(convert_to(
            string_agg(h.tx_id || ' ' || encode(h.body_hash, 'hex') || E'\n', '' ORDER BY h.tx_id), 'UTF8'
        )), 'hex') AS sha256
        FROM happened h GROUP BY h.day
    ),
    sums AS (
        SELECT h.day, e.currency, e.layer, count(*) AS entries,
            coalesce(sum(e.amount) FILTER (WHERE e.side = 1), 0) AS debits,
            coalesce(sum(e.amount) FILTER (WHERE e.side = -1), 0) AS credits
        FROM happened h JOIN ledger.entry e USING (tx_id) GROUP BY h.day, e.currency, e.layer
    ),
    entries AS (
        SELECT s.day, sum(s.entries) AS entries, jsonb_agg(jsonb_build_object(
            'currency', s.currency, 'layer', ledger.layer_name(s.layer), 'debits', s.debits, 'credits', s.credits
        ) ORDER BY s.currency, s.layer) AS sums
        FROM sums s GROUP BY s.day
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'day', t.day, 'transactions', t.transactions, 'entries', coalesce(e.entries, 0),
        'sums', coalesce(e.sums, '[]'), 'sha256', t.sha256
    ) ORDER BY t.day), '[]')
    FROM transactions t LEFT JOIN entries e USING (day)
$$;

CREATE FUNCTION ledger.chain_ends() RETURNS JSONB LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(w.shard, jsonb_build_object('batch_id', b.batch_id, 'hash', encode(b.hash, 'hex'))), '{}')
    FROM ledger.writer w
    CROSS JOIN LATERAL (
        SELECT n.batch_id, n.hash FROM ledger.batch n WHERE n.shard = w.shard ORDER BY n.batch_id DESC LIMIT 1
    ) b
$$;

-- Close everything that is effective before a time, and keep what it came to. Posting goes on while that is counted: only
-- if something came meanwhile that falls into the period it is counted again, and posting waits.
CREATE FUNCTION ledger.seal(closed_until TIMESTAMPTZ) RETURNS JSONB LANGUAGE plpgsql
SECURITY DEFINER AS $$ -- it makes the writers wait, which is the right of their owner
DECLARE
    since TIMESTAMPTZ;
    ends JSONB;
    days JSONB;
    manifest JSONB;
BEGIN
    SELECT max(p.closed_until) INTO since FROM ledger.closed_period p WHERE p.manifest <> '{}';
    IF closed_until <= since THEN
        RAISE EXCEPTION USING ERRCODE = 'LG015', MESSAGE = 'the ledger is sealed until ' || since || ' already';
    END IF;
    since := coalesce(since, '-infinity');
    ends := ledger.chain_ends();
    days := ledger.manifest_days(since, closed_until);
    PERFORM FROM ledger.writer w ORDER BY w.shard FOR UPDATE;
    IF EXISTS (
        SELECT FROM ledger.batch b JOIN ledger.tx t USING (batch_id)
        WHERE b.batch_id > coalesce((ends -> b.shard::TEXT ->> 'batch_id')::BIGINT, 0)
            AND t.effective_at >= since AND t.effective_at < closed_until
    ) THEN
        ends := ledger.chain_ends();
        days := ledger.manifest_days(since, closed_until);
    END IF;
    manifest := jsonb_build_object('since', nullif(since, '-infinity'), 'until', closed_until, 'days', days, 'batches', ends);
    INSERT INTO ledger.closed_period (closed_until, closed_by, manifest) VALUES (closed_until, session_user, manifest);
    RETURN manifest;
END $$;

CREATE VIEW ledger.sealed AS
SELECT
    (p.manifest ->> 'since')::TIMESTAMPTZ AS since,
    p.closed_until AS until,
    (SELECT coalesce(sum((d ->> 'transactions')::BIGINT), 0) FROM jsonb_array_elements(p.manifest -> 'days') d) AS transactions,
    (SELECT coalesce(sum((d ->> 'entries')::BIGINT), 0) FROM jsonb_array_elements(p.manifest -> 'days') d) AS entries,
    p.closed_at,
    p.closed_by,
    p.manifest
FROM ledger.closed_period p
WHERE p.manifest <> '{}';

-- Every seal, counted again: the days that are not what was sealed, and the shards whose chain has lost its end.
CREATE FUNCTION ledger.check_seals()
RETURNS TABLE (since TIMESTAMPTZ, until TIMESTAMPTZ, is_sound BOOLEAN, differing_days DATE[], differing_shards INT[])
LANGUAGE sql STABLE AS $$
    SELECT s.since, s.until, d.days IS NULL AND b.shards IS NULL, coalesce(d.days, '{}'), coalesce(b.shards, '{}')
    FROM ledger.sealed s
    CROSS JOIN LATERAL (
        SELECT array_agg((coalesce(o.day, n.day) ->> 'day')::DATE ORDER BY coalesce(o.day, n.day) ->> 'day') AS days
        FROM jsonb_array_elements(s.manifest -> 'days') o (day)
        FULL JOIN jsonb_array_elements(ledger.manifest_days(coalesce(s.since, '-infinity'), s.until)) n (day)
            ON o.day ->> 'day' = n.day ->> 'day'
        WHERE o.day IS DISTINCT FROM n.day
    ) d
    CROSS JOIN LATERAL (
        SELECT array_agg(k.shard::INT ORDER BY k.shard::INT) AS shards
        FROM jsonb_each(s.manifest -> 'batches') k (shard, mark)
        WHERE NOT EXISTS (
            SELECT FROM ledger.batch c
            WHERE c.batch_id = (k.mark ->> 'batch_id')::BIGINT AND encode(c.hash, 'hex') = k.mark ->> 'hash'
        )
    ) b
    ORDER BY s.until
$$;

-- Rights -------------------------------------------------------------------------------------------------------------------

DO $$
DECLARE
    ours CONSTANT TEXT[] := ARRAY[
        'leaves', 'batch_recorded', 'version_recorded', 'net_at_version', 'balance_recorded', 'balance_effective',
        'trial_balance_recorded', 'trial_balance_effective', 'statement', 'clearing_breaks', 'manifest_days', 'chain_ends',
        'seal', 'check_seals'
    ];
    found REGPROCEDURE;
BEGIN
    FOR found IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'ledger'::REGNAMESPACE AND p.proname = ANY (ours) ORDER BY p.oid
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', found);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO ballast_api, ballast_reader', found);
    END LOOP;
    REVOKE EXECUTE ON FUNCTION ledger.seal(TIMESTAMPTZ) FROM ballast_reader;
END $$;

GRANT SELECT ON
    ledger.hierarchy, ledger.rolled_up_balances, ledger.open_holds, ledger.clearing, ledger.clearing_breaks, ledger.sealed
    TO ballast_api, ballast_reader;

DO $$
DECLARE
    owned RECORD;
BEGIN
    FOR owned IN
        SELECT 'VIEW' AS kind, c.oid::REGCLASS::TEXT AS name FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'ledger'::REGNAMESPACE AND c.relkind = 'v'
            AND pg_catalog.pg_get_userbyid(c.relowner) <> 'ballast_migrator'
        UNION ALL
        SELECT 'FUNCTION', p.oid::REGPROCEDURE::TEXT FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'ledger'::REGNAMESPACE AND pg_catalog.pg_get_userbyid(p.proowner) <> 'ballast_migrator'
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO ballast_migrator', owned.kind, owned.name);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'what this adds stays with %: it is no member of ballast_migrator', current_user;
END $$;
