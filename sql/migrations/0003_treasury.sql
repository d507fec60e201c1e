-- depends: 0002_ledger_views

-- What the treasury decided, what it asked of exchanges, and what it could not read. A row here is evidence: none is ever
-- deleted, decisions and state changes are never altered, and an order or transfer that ended stays as it ended.
CREATE SCHEMA treasury;
COMMENT ON SCHEMA treasury IS 'Decisions, orders and transfers at exchanges, and messages that could not be read.';

CREATE FUNCTION treasury.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is evidence: % is not allowed', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;


-- Decisions ----------------------------------------------------------------------------------------------------------------

-- Orders point to decisions by id and without a foreign key: a decision travels to this table and to the executor on two
-- ways of the same flow, and neither may wait for the other.
CREATE TABLE treasury.decision (
    id             text PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('hedge', 'funding')),
    venue          text NOT NULL,
    policy         text NOT NULL,
    policy_version integer NOT NULL,
    action         text NOT NULL,
    rule           text NOT NULL,
    reason         text NOT NULL,
    amount         numeric(38, 0) NOT NULL,
    unit           text NOT NULL CHECK (unit IN ('contracts', 'sats', 'none')),
    inputs         jsonb NOT NULL,
    refused        jsonb NOT NULL,
    repeats        integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    as_of          timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.decision IS 'Decisions as they were taken, with the facts they were taken on. Never recomputed.';
COMMENT ON COLUMN treasury.decision.refused IS 'The alternatives that were refused, and why.';
COMMENT ON COLUMN treasury.decision.repeats IS 'How many times the same was decided before without anything new.';
CREATE INDEX decision_by_venue ON treasury.decision (venue, as_of);

CREATE TRIGGER decision_is_immutable BEFORE UPDATE OR DELETE ON treasury.decision
    FOR EACH ROW EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER decision_is_not_emptied BEFORE TRUNCATE ON treasury.decision
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();


-- Orders and transfers -----------------------------------------------------------------------------------------------------

CREATE TABLE treasury.venue_order (
    client_order_id   text PRIMARY KEY,
    decision_id       text NOT NULL UNIQUE,
    venue             text NOT NULL,
    instrument        text NOT NULL,
    action            text NOT NULL CHECK (action IN ('sell', 'buy', 'close')),
    contracts         numeric(38, 0) NOT NULL,
    based_on_sequence bigint NOT NULL CHECK (based_on_sequence >= 0),
    as_of             timestamptz NOT NULL,
    state             text NOT NULL CHECK (
        state IN ('reserved', 'sent', 'unknown', 'open', 'filled', 'canceled', 'rejected', 'not_placed')
    ),
    filled            numeric(38, 0) NOT NULL DEFAULT 0 CHECK (filled >= 0),
    venue_sequence    bigint NOT NULL DEFAULT 0 CHECK (venue_sequence >= 0),
    reason            text,
    reserved_at       timestamptz NOT NULL,
    sent_at           timestamptz,
    finished_at       timestamptz,
    CONSTRAINT order_side CHECK (
        action = 'close' OR (action = 'sell' AND contracts < 0) OR (action = 'buy' AND contracts > 0)
    ),
    CONSTRAINT order_end CHECK (
        (state IN ('filled', 'canceled', 'rejected', 'not_placed')) = (finished_at IS NOT NULL)
    )
);
COMMENT ON TABLE treasury.venue_order IS 'Every order asked of an exchange, written down before it was sent.';
COMMENT ON COLUMN treasury.venue_order.based_on_sequence IS 'The newest event of the exchange that the decision knew.';
COMMENT ON COLUMN treasury.venue_order.filled IS 'Contracts executed so far, without sign.';
COMMENT ON COLUMN treasury.venue_order.venue_sequence IS 'The newest event of the exchange about this order; 0: none.';

CREATE TABLE treasury.venue_transfer (
    client_transfer_id text PRIMARY KEY,
    decision_id        text NOT NULL UNIQUE,
    venue              text NOT NULL,
    kind               text NOT NULL CHECK (
        kind IN ('deposit', 'withdraw', 'funding_to_trading', 'trading_to_funding')
    ),
    amount_sats        numeric(38, 0) NOT NULL CHECK (amount_sats > 0),
    based_on_sequence  bigint NOT NULL CHECK (based_on_sequence >= 0),
    as_of              timestamptz NOT NULL,
    state              text NOT NULL CHECK (
        state IN ('reserved', 'sent', 'unknown', 'pending', 'done', 'failed', 'not_sent')
    ),
    venue_sequence     bigint NOT NULL DEFAULT 0 CHECK (venue_sequence >= 0),
    reason             text,
    reserved_at        timestamptz NOT NULL,
    sent_at            timestamptz,
    finished_at        timestamptz,
    CONSTRAINT transfer_end CHECK ((state IN ('done', 'failed', 'not_sent')) = (finished_at IS NOT NULL))
);
COMMENT ON TABLE treasury.venue_transfer IS 'Every transfer of collateral asked of an exchange, written down before it was sent.';

-- The slot: whatever the code does, a second order or transfer cannot be under way at a venue.
CREATE UNIQUE INDEX one_open_order_per_venue ON treasury.venue_order (venue)
    WHERE state IN ('reserved', 'sent', 'unknown', 'open');
CREATE UNIQUE INDEX one_open_transfer_per_venue ON treasury.venue_transfer (venue)
    WHERE state IN ('reserved', 'sent', 'unknown', 'pending');

-- A reservation asks for the newest end at its venue.
CREATE INDEX finished_order_by_sequence ON treasury.venue_order (venue, venue_sequence) WHERE finished_at IS NOT NULL;
CREATE INDEX finished_transfer_by_sequence ON treasury.venue_transfer (venue, venue_sequence) WHERE finished_at IS NOT NULL;

-- An order that was given up as never placed is the one end that the exchange may still correct.
CREATE FUNCTION treasury.keep_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finished_at IS NOT NULL AND NOT (
        OLD.state IN ('not_placed', 'not_sent') AND NEW.state IN ('filled', 'canceled', 'rejected', 'done', 'failed')
    ) THEN
        RAISE EXCEPTION '%.% ended as % and stays so', TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER order_keeps_its_end BEFORE UPDATE ON treasury.venue_order
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_the_end();
CREATE TRIGGER transfer_keeps_its_end BEFORE UPDATE ON treasury.venue_transfer
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_the_end();
CREATE TRIGGER order_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.venue_order
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER transfer_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.venue_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();


-- Their history ------------------------------------------------------------------------------------------------------------

-- Written with the row that it tells of, under a lock per venue, so the ids of a venue grow in the order of commits and a
-- reader that remembers the last id it read misses nothing. Reports to the flows are read from here.
CREATE TABLE treasury.state_change (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what           text NOT NULL CHECK (what IN ('order', 'transfer')),
    client_id      text NOT NULL,
    decision_id    text NOT NULL,
    venue          text NOT NULL,
    state          text NOT NULL,
    filled         numeric(38, 0) NOT NULL,
    venue_sequence bigint NOT NULL,
    reason         text,
    changed_at     timestamptz NOT NULL
);
COMMENT ON TABLE treasury.state_change IS 'Each state of each order and transfer, in the order in which they were committed.';
CREATE INDEX state_change_by_venue ON treasury.state_change (venue, id);
CREATE INDEX state_change_by_client ON treasury.state_change (client_id, id);

CREATE TRIGGER state_change_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.state_change
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();


-- Quarantine ---------------------------------------------------------------------------------------------------------------

CREATE TABLE treasury.quarantine (
    topic       text NOT NULL,
    partition   integer NOT NULL CHECK (partition >= 0),
    "offset"    bigint NOT NULL CHECK ("offset" >= 0),
    reason      text NOT NULL,
    detail      text NOT NULL,
    key         bytea,
    raw         bytea NOT NULL,
    -- Part of the key, because a broker that keeps nothing counts its offsets from 0 again after every start.
    digest      bytea GENERATED ALWAYS AS (sha256(raw)) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, "offset", digest)
);
COMMENT ON TABLE treasury.quarantine IS 'Messages that could not be used, with their bytes, so that they can be sent again after a fix.';

CREATE TRIGGER quarantine_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.quarantine
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
