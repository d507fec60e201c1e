-- depends: 0008_treasury_rights

-- What status, metrics and health read. The numbers are kept while the rows that they count are written, in the same
-- transaction, so reading them takes the same time however long the history is.

-- How many transactions were posted, rejected or in conflict.
CREATE TABLE ledger.tally (
    shard SMALLINT NOT NULL,
    template TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('posted', 'rejected', 'conflict')),
    n BIGINT NOT NULL CHECK (n > 0),
    PRIMARY KEY (shard, template, outcome)
) WITH (fillfactor = 50); -- every batch updates these few rows

-- A batch has its shard to itself once it has begun: the chain has one place for the next one. So nobody who posts, by
-- either entry point, holds a row here that another who posts to the shard waits for.
CREATE FUNCTION ledger.tallies_grow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
    INSERT INTO ledger.tally AS t (shard, template, outcome, n)
    SELECT (SELECT b.shard FROM ledger.batch b WHERE b.batch_id = k.batch_id), k.template, tg_argv[0], k.n
    FROM (SELECT n.batch_id, n.template, count(*) AS n FROM new_rows n GROUP BY n.batch_id, n.template) k
    ORDER BY 1, 2
    ON CONFLICT (shard, template, outcome) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION ledger.tallies_grow() FROM PUBLIC;

CREATE TRIGGER tallies_grow AFTER INSERT ON ledger.tx REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.tallies_grow('posted');
CREATE TRIGGER tallies_grow AFTER INSERT ON ledger.reject REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.tallies_grow('rejected');
CREATE TRIGGER tallies_grow AFTER INSERT ON ledger.conflict REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.tallies_grow('conflict');


CREATE TABLE treasury.tally (
    subject text NOT NULL CHECK (subject IN ('decision', 'hold', 'quarantine', 'request')),
    label   text NOT NULL,
    n       bigint NOT NULL CHECK (n >= 0),
    PRIMARY KEY (subject, label)
) WITH (fillfactor = 50);
COMMENT ON TABLE treasury.tally IS 'How many decisions there are by kind, holds by kind/rule, messages in quarantine by topic, requests by kind/state.';

-- Rows are taken in the order of their key: two who insert one statement each never wait for each other in a circle.
CREATE FUNCTION treasury.decisions_grow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO treasury.tally AS t (subject, label, n)
    SELECT k.subject, k.label, count(*)
    FROM (
        SELECT 'decision' AS subject, d.kind AS label FROM new_rows d
        UNION ALL
        SELECT 'hold', d.kind || '/' || d.rule FROM new_rows d WHERE d.action = 'hold'
    ) k
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (subject, label) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;

CREATE FUNCTION treasury.quarantine_grows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO treasury.tally AS t (subject, label, n)
    SELECT 'quarantine', q.topic, count(*) FROM new_rows q GROUP BY 2 ORDER BY 2
    ON CONFLICT (subject, label) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;

-- A request moves from one state to the next: two rows, taken in the order of their key.
CREATE FUNCTION treasury.requests_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO treasury.tally AS t (subject, label, n)
    SELECT 'request', k.label, greatest(0, sum(k.n))
    FROM (
        SELECT NEW.kind || '/' || NEW.state AS label, 1 AS n
        UNION ALL
        SELECT OLD.kind || '/' || OLD.state, -1 WHERE tg_op = 'UPDATE'
    ) k
    GROUP BY k.label HAVING sum(k.n) <> 0 ORDER BY k.label
    ON CONFLICT (subject, label) DO UPDATE SET n = t.n + CASE WHEN excluded.n > 0 THEN 1 ELSE -1 END;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION treasury.decisions_grow(), treasury.quarantine_grows(), treasury.requests_move() FROM PUBLIC;

CREATE TRIGGER decisions_grow AFTER INSERT ON treasury.decision REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.decisions_grow();
CREATE TRIGGER quarantine_grows AFTER INSERT ON treasury.quarantine REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.quarantine_grows();

CREATE TRIGGER requests_move AFTER INSERT OR UPDATE OF state ON treasury.request
    FOR EACH ROW EXECUTE FUNCTION treasury.requests_move();

-- The last decision of a kind is the first entry of its range.
CREATE INDEX decision_newest ON treasury.decision (kind, as_of DESC, recorded_at DESC);


-- What the steps of a running flow say of themselves, once per epoch: the newest word replaces the one before.
CREATE TABLE treasury.gauge (
    step  text NOT NULL,
    shard text NOT NULL,
    name  text NOT NULL,
    value bigint NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (step, shard, name)
) WITH (fillfactor = 50);
COMMENT ON TABLE treasury.gauge IS 'How far each step of the flows has come, and what waits in it; times in epoch milliseconds.';
COMMENT ON COLUMN treasury.gauge.as_of IS 'When the step said so, by the clock of the database.';

GRANT SELECT, INSERT, UPDATE ON treasury.gauge TO ballast_executor;
