-- depends: 0010_owners

-- What the outside says of our accounts, and what came of comparing it with the books. Statements, reports and corrections are
-- evidence and stay as they are; of a match and of a break what is known changes: whether it still stands.

CREATE TABLE treasury.statement (
    source       text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    statement_id text COLLATE "C" NOT NULL,
    since        timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    opening      numeric(38, 0) NOT NULL,
    closing      numeric(38, 0) NOT NULL,
    body         json NOT NULL, -- the message as text
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, account, currency, statement_id),
    CHECK (since < until)
);
COMMENT ON TABLE treasury.statement IS 'Statements of banks, venues and providers, each once.';

CREATE TABLE treasury.recon_report (
    report_id         text COLLATE "C" PRIMARY KEY,
    source            text COLLATE "C" NOT NULL,
    account           text COLLATE "C" NOT NULL,
    currency          text COLLATE "C" NOT NULL,
    since             timestamptz NOT NULL,
    until             timestamptz NOT NULL,
    verdict           text NOT NULL CHECK (verdict IN ('agrees', 'differs')),
    book              numeric(38, 0) NOT NULL,
    external          numeric(38, 0) NOT NULL,
    in_transit_amount numeric(38, 0) NOT NULL,
    difference        numeric(38, 0) NOT NULL CHECK (difference = external + in_transit_amount - book),
    breaks            integer NOT NULL,
    body              json NOT NULL, -- the message as text
    as_of             timestamptz NOT NULL,
    recorded_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.recon_report IS 'What each comparison of an account with its statements came to.';
CREATE INDEX recon_report_newest ON treasury.recon_report (source, account, currency, as_of DESC);

CREATE TABLE treasury.recon_match (
    match_id     text COLLATE "C" PRIMARY KEY,
    source       text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    rule         text NOT NULL,
    difference   numeric(38, 0) NOT NULL,
    evidence     json NOT NULL, -- the lines and entries, and how far they are apart in time
    first_report text COLLATE "C" NOT NULL REFERENCES treasury.recon_report,
    ended_report text COLLATE "C" REFERENCES treasury.recon_report
);
COMMENT ON TABLE treasury.recon_match IS 'Which lines are which entries, by which rule; ended_report is the first in which it no longer stood.';
CREATE INDEX recon_match_standing ON treasury.recon_match (source, account, currency) WHERE ended_report IS NULL;

CREATE TABLE treasury.recon_break (
    break_id        text COLLATE "C" PRIMARY KEY,
    source          text COLLATE "C" NOT NULL,
    account         text COLLATE "C" NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    owner_account   text COLLATE "C" NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('not_in_books', 'not_on_statement', 'amount', 'tie', 'balance')),
    state           text NOT NULL CHECK (state IN ('open', 'closed')),
    severity        text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    amount          numeric(38, 0) NOT NULL,
    since           timestamptz NOT NULL,
    body            json NOT NULL, -- the message as text
    report_id       text COLLATE "C" NOT NULL REFERENCES treasury.recon_report,
    first_report    text COLLATE "C" NOT NULL REFERENCES treasury.recon_report
);
COMMENT ON TABLE treasury.recon_break IS 'What statements and books differ in; report_id is the report that changed it last.';
COMMENT ON COLUMN treasury.recon_break.amount IS 'What the outside has more than the books.';
CREATE INDEX recon_break_open ON treasury.recon_break (source, account, currency) WHERE state = 'open';
CREATE INDEX recon_break_report ON treasury.recon_break (report_id);

CREATE TABLE treasury.correction (
    correction_id text COLLATE "C" PRIMARY KEY,
    break_id      text COLLATE "C" NOT NULL REFERENCES treasury.recon_break,
    counter       text COLLATE "C" NOT NULL,
    amount        numeric(38, 0) NOT NULL CHECK (amount <> 0),
    effective_at  timestamptz NOT NULL,
    why           text NOT NULL CHECK (btrim(why) <> ''),
    asked_by      text NOT NULL CHECK (btrim(asked_by) <> ''),
    asked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by   text CHECK (btrim(approved_by) <> ''),
    approved_at   timestamptz,
    posted_tx_id  uuid,
    withdrawn_at  timestamptz,
    CONSTRAINT two_people CHECK (lower(btrim(approved_by)) <> lower(btrim(asked_by))),
    CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
    CHECK ((posted_tx_id IS NULL) = (approved_by IS NULL)),
    CHECK (withdrawn_at IS NULL OR posted_tx_id IS NULL)
);
COMMENT ON TABLE treasury.correction IS 'What is to be posted for a break: asked for by one person, approved by another.';
COMMENT ON COLUMN treasury.correction.withdrawn_at IS 'When another one was asked for in its place.';
-- One at a time is asked for a break.
CREATE UNIQUE INDEX correction_waits ON treasury.correction (break_id) WHERE posted_tx_id IS NULL AND withdrawn_at IS NULL;

-- What was said once is not said anew: who approved, and what was posted.
CREATE FUNCTION treasury.keep_what_was_said() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (NEW.correction_id, NEW.break_id, NEW.counter, NEW.amount, NEW.effective_at, NEW.why, NEW.asked_by, NEW.asked_at)
        IS DISTINCT FROM
        (OLD.correction_id, OLD.break_id, OLD.counter, OLD.amount, OLD.effective_at, OLD.why, OLD.asked_by, OLD.asked_at)
        OR (OLD.approved_by IS NOT NULL AND (NEW.approved_by, NEW.approved_at)
            IS DISTINCT FROM (OLD.approved_by, OLD.approved_at))
        OR (OLD.posted_tx_id IS NOT NULL AND NEW.posted_tx_id IS DISTINCT FROM OLD.posted_tx_id)
        OR (OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS DISTINCT FROM OLD.withdrawn_at) THEN
        RAISE EXCEPTION 'correction % stays as it was asked for and approved', OLD.correction_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- What a match and a break are made of stays.
CREATE FUNCTION treasury.keep_what_was_compared() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (NEW.source, NEW.account, NEW.currency, NEW.first_report)
        IS DISTINCT FROM (OLD.source, OLD.account, OLD.currency, OLD.first_report) THEN
        RAISE EXCEPTION '%.% is evidence: what was compared stays', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER statement_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.statement
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER recon_report_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.recon_report
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER recon_match_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.recon_match
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER recon_match_keeps_what_was_compared BEFORE UPDATE ON treasury.recon_match
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_what_was_compared();
CREATE TRIGGER recon_break_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.recon_break
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER recon_break_keeps_what_was_compared BEFORE UPDATE ON treasury.recon_break
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_what_was_compared();
CREATE TRIGGER correction_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.correction
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER correction_keeps_what_was_said BEFORE UPDATE ON treasury.correction
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_what_was_said();

REVOKE EXECUTE ON FUNCTION treasury.keep_what_was_said(), treasury.keep_what_was_compared() FROM PUBLIC;

GRANT SELECT ON treasury.statement, treasury.recon_report, treasury.recon_match, treasury.recon_break TO ballast_executor;
GRANT INSERT (source, account, currency, statement_id, since, until, opening, closing, body) ON treasury.statement
    TO ballast_executor;
GRANT INSERT (
    report_id, source, account, currency, since, until, verdict, book, external, in_transit_amount, difference, breaks, body, as_of
) ON treasury.recon_report TO ballast_executor;
GRANT INSERT, UPDATE (ended_report) ON treasury.recon_match TO ballast_executor;
GRANT INSERT, UPDATE (kind, state, severity, amount, since, owner_account, body, report_id) ON treasury.recon_break
    TO ballast_executor;
GRANT SELECT ON treasury.recon_break, treasury.correction TO ballast_api;
GRANT INSERT (correction_id, break_id, counter, amount, effective_at, why, asked_by) ON treasury.correction TO ballast_api;
GRANT UPDATE (approved_by, approved_at, posted_tx_id, withdrawn_at) ON treasury.correction TO ballast_api;
GRANT SELECT ON treasury.statement, treasury.recon_report, treasury.recon_match, treasury.recon_break, treasury.correction
    TO ballast_reader;

-- As all that is there already, they are the migrator's.
DO $$
DECLARE
    owned TEXT;
BEGIN
    FOREACH owned IN ARRAY ARRAY['statement', 'recon_report', 'recon_match', 'recon_break', 'correction'] LOOP
        EXECUTE format('ALTER TABLE treasury.%I OWNER TO ballast_migrator', owned);
    END LOOP;
    ALTER FUNCTION treasury.keep_what_was_said() OWNER TO ballast_migrator;
    ALTER FUNCTION treasury.keep_what_was_compared() OWNER TO ballast_migrator;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'tables stay with %: it is no member of ballast_migrator', current_user;
END $$;
