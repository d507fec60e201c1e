-- depends: 0004_ledger_periods

-- Reading the ledger: codes instead of ids, names instead of numbers, debits and credits in columns of their own; balances
-- at any time by either axis, statements, the hierarchy of accounts, what is held and what has not cleared.
--
-- There are two axes of time. *Recorded* is when the ledger learned of something: a balance of yesterday by recorded time
-- never changes again. *Effective* is when it happened: a late transaction changes the balances from its own time on. A
-- balance as of a time has in it what was recorded, or effective, at that time or before; a period goes from its first
-- moment up to its last, without it.
--
-- Amounts are in minor units, in the account's normal direction unless a column says debit or credit.

-- Transactions -------------------------------------------------------------------------------------------------------------

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

-- Every transaction, in the order in which they were executed if ordered by (batch_id, position).
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

-- Accounts -----------------------------------------------------------------------------------------------------------------

-- The leaves at or below an account: itself, if it has no others below it.
CREATE FUNCTION ledger.leaves(the_account TEXT) RETURNS TABLE (account_id INT, shard SMALLINT)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

-- Balances -----------------------------------------------------------------------------------------------------------------

-- One row per account and currency.
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

-- Balances at a time -------------------------------------------------------------------------------------------------------

-- The last batch of a shard that was recorded at a time or before; 0 if there is none.
CREATE FUNCTION ledger.batch_recorded(the_shard SMALLINT, as_of TIMESTAMPTZ) RETURNS BIGINT
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT b.batch_id FROM ledger.batch b WHERE b.shard = the_shard AND b.recorded_at <= as_of
        ORDER BY b.recorded_at DESC, b.batch_id DESC LIMIT 1
    ), 0)
$$;

-- How many entries an account had in a currency when a batch was written. Versions grow with batches, so this halves its
-- way to the answer: two dozen look-ups among ten million entries.
CREATE FUNCTION ledger.version_recorded(the_account_id INT, the_currency TEXT, the_batch BIGINT) RETURNS BIGINT
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
RETURNS NUMERIC LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
RETURNS TABLE (currency TEXT, layer TEXT, balance NUMERIC) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
RETURNS TABLE (currency TEXT, layer TEXT, balance NUMERIC) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

-- Debits and credits of every journal, currency and layer. A transaction balances per currency and layer, and may go from
-- one journal to another, as clearing does.
CREATE VIEW ledger.trial_balance AS
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
RETURNS TABLE (account TEXT, currency TEXT, layer TEXT, debit NUMERIC, credit NUMERIC) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
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
RETURNS TABLE (account TEXT, currency TEXT, layer TEXT, debit NUMERIC, credit NUMERIC) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
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
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

-- Clearing -----------------------------------------------------------------------------------------------------------------

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
) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

-- Rights -------------------------------------------------------------------------------------------------------------------

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    ledger.leaves, ledger.batch_recorded, ledger.version_recorded, ledger.net_at_version, ledger.balance_recorded,
    ledger.balance_effective, ledger.trial_balance_recorded, ledger.trial_balance_effective, ledger.statement,
    ledger.clearing_breaks
    TO ballast_api, ballast_reader;
GRANT SELECT ON
    ledger.entries, ledger.transactions, ledger.balances, ledger.balances_by_layer, ledger.trial_balance,
    ledger.effective_balances, ledger.rejected
    TO ballast_executor;
