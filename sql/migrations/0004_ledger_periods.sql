-- depends: 0003_ledger_journal

-- Periods that are closed, and what they came to when they were: a seal.

CREATE TABLE ledger.closed_period (
    closed_until TIMESTAMPTZ PRIMARY KEY, -- what is effective before it is refused
    -- A period that has not ended would be closed for what is still to happen, and nothing takes a seal back.
    closed_at TIMESTAMPTZ NOT NULL DEFAULT now() CHECK (closed_until <= closed_at),
    closed_by TEXT NOT NULL DEFAULT session_user, -- the login: a role says only what it may do
    manifest JSONB NOT NULL DEFAULT '{}'  -- what the period came to: counts, sums, the last hash
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.closed_period
    EXECUTE FUNCTION ledger.refuse_change();

-- A period begins where the one before it ended, so nothing is sealed twice.
CREATE FUNCTION ledger.period_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sealed TIMESTAMPTZ := (SELECT max(p.closed_until) FROM ledger.closed_period p);
BEGIN
    IF NEW.closed_until < sealed THEN
        RAISE EXCEPTION USING ERRCODE = 'LG015',
            MESSAGE = 'the ledger is sealed until ' || to_char(sealed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' already';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER period_follows BEFORE INSERT ON ledger.closed_period
    FOR EACH ROW EXECUTE FUNCTION ledger.period_follows();
CREATE TRIGGER reference_changes BEFORE INSERT ON ledger.closed_period EXECUTE FUNCTION ledger.reference_changes();

-- What happened from `since` up to `until`, by UTC day: counts, sums, and a hash that names every transaction and its body.
CREATE FUNCTION ledger.manifest_days(since TIMESTAMPTZ, until TIMESTAMPTZ) RETURNS JSONB LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
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

-- The ends of the chains: while they are there, nothing before them was changed unseen.
CREATE FUNCTION ledger.chain_ends() RETURNS JSONB LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(w.shard, jsonb_build_object('batch_id', b.batch_id, 'hash', encode(b.hash, 'hex'))), '{}')
    FROM ledger.writer w
    CROSS JOIN LATERAL (
        SELECT n.batch_id, n.hash FROM ledger.batch n WHERE n.shard = w.shard ORDER BY n.batch_id DESC LIMIT 1
    ) b
$$;

-- Close everything that is effective before a time, and keep what it came to. Posting goes on while that is counted: only
-- if something came meanwhile that falls into the period it is counted again, and posting waits.
CREATE FUNCTION ledger.seal(closed_until TIMESTAMPTZ) RETURNS JSONB LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$ -- it makes the writers wait, which is the right of their owner
DECLARE
    since TIMESTAMPTZ;
    ends JSONB;
    days JSONB;
    manifest JSONB;
BEGIN
    IF closed_until > now() THEN
        RAISE EXCEPTION USING ERRCODE = 'LG015', MESSAGE = 'a period ends at the latest now; ' || closed_until || ' is still to come';
    END IF;
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
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.manifest_days, ledger.chain_ends, ledger.check_seals TO ballast_api, ballast_reader;
GRANT EXECUTE ON FUNCTION ledger.seal TO ballast_api;
GRANT INSERT (closed_until, manifest) ON ledger.closed_period TO ballast_api;
