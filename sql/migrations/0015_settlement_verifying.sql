-- depends: 0014_settlement_reading

-- What verifying customers' balances from their history came to. A job is written when it has ended, an error when it is found
-- for the first time; both are evidence. Of an error what is known changes once: which job found it mended.
CREATE TABLE settlement.reconciliation_job (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('continuous', 'hourly', 'manual')),
    started_at    timestamptz NOT NULL,
    completed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    customers     integer NOT NULL CHECK (customers >= 0),
    last_customer text COLLATE "C",
    trades        integer NOT NULL CHECK (trades >= 0),
    errors        integer NOT NULL CHECK (errors >= 0),
    residuals     jsonb NOT NULL DEFAULT '{}',
    status        text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN errors = 0 AND residuals = '{}' THEN 'agrees' ELSE 'differs' END
    ) STORED
);
COMMENT ON TABLE settlement.reconciliation_job IS
    'Every verification of customers'' balances: how many customers and trades it looked at, and what did not come to zero by asset.';
CREATE INDEX reconciliation_job_newest ON settlement.reconciliation_job (kind, id DESC);

CREATE TABLE settlement.reconciliation_error (
    job_id        bigint NOT NULL REFERENCES settlement.reconciliation_job,
    customer      text COLLATE "C" NOT NULL,
    asset         text COLLATE "C" NOT NULL,
    account_kind  text NOT NULL CHECK (account_kind IN ('available', 'locked', 'debt')),
    found_in      text NOT NULL CHECK (found_in IN ('balance', 'entries')),
    expected      numeric NOT NULL,
    actual        numeric NOT NULL,
    difference    numeric NOT NULL GENERATED ALWAYS AS (actual - expected) STORED,
    found_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    correction_id text COLLATE "C" NOT NULL UNIQUE,
    fixed_job     bigint REFERENCES settlement.reconciliation_job,
    PRIMARY KEY (job_id, customer, asset, account_kind, found_in)
);
COMMENT ON TABLE settlement.reconciliation_error IS
    'Balances that were not what their history comes to, in smallest units; the correction of one bears the name in correction_id.';
CREATE INDEX reconciliation_error_of ON settlement.reconciliation_error (customer, asset);
CREATE INDEX reconciliation_error_open ON settlement.reconciliation_error (found_at) WHERE fixed_job IS NULL;

CREATE FUNCTION settlement.keep_what_was_found() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.fixed_job IS NOT NULL OR NEW.fixed_job IS NULL OR (
        to_jsonb(NEW) - ARRAY['fixed_job', 'difference'] <> to_jsonb(OLD) - ARRAY['fixed_job', 'difference']
    ) THEN
        RAISE EXCEPTION 'an error that was found stays as it is; only that it was mended can be added, once'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reconciliation_error_stays BEFORE UPDATE ON settlement.reconciliation_error
    FOR EACH ROW EXECUTE FUNCTION settlement.keep_what_was_found();
CREATE TRIGGER reconciliation_error_is_evidence BEFORE DELETE OR TRUNCATE ON settlement.reconciliation_error
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER reconciliation_job_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.reconciliation_job
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();

CREATE VIEW settlement.v_reconciliation AS
SELECT j.id, j.kind, j.started_at, j.completed_at, j.customers, j.trades, j.errors,
    (SELECT count(*) FROM settlement.reconciliation_error e WHERE e.fixed_job = j.id) AS fixed, j.residuals, j.status
FROM settlement.reconciliation_job j;
COMMENT ON VIEW settlement.v_reconciliation IS 'Verifications of customers'' balances, and how many earlier errors each found mended.';

REVOKE EXECUTE ON FUNCTION settlement.keep_what_was_found() FROM PUBLIC;
GRANT SELECT ON settlement.reconciliation_job, settlement.reconciliation_error, settlement.v_reconciliation
    TO ballast_executor, ballast_api, ballast_reader;
GRANT INSERT (kind, started_at, customers, last_customer, trades, errors, residuals) ON settlement.reconciliation_job
    TO ballast_executor;
GRANT INSERT (job_id, customer, asset, account_kind, found_in, expected, actual, correction_id) ON settlement.reconciliation_error
    TO ballast_executor;
GRANT UPDATE (fixed_job) ON settlement.reconciliation_error TO ballast_executor;

-- As all that is there already, they are the migrator's.
DO $$
BEGIN
    ALTER TABLE settlement.reconciliation_job OWNER TO ballast_migrator;
    ALTER TABLE settlement.reconciliation_error OWNER TO ballast_migrator;
    ALTER VIEW settlement.v_reconciliation OWNER TO ballast_migrator;
    ALTER FUNCTION settlement.keep_what_was_found() OWNER TO ballast_migrator;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'tables stay with %: it is no member of ballast_migrator', current_user;
END $$;
