-- depends: 0006_ledger_proof

-- What the treasury decided, what it asked of exchanges, and what it could not read. A row here is evidence: none is ever
-- deleted, decisions and changes of requests are never altered, and a request stays what was asked, and as it ended.
CREATE SCHEMA treasury;
COMMENT ON SCHEMA treasury IS 'Decisions, requests to the outside, messages that could not be read, and what people should look at.';

CREATE FUNCTION treasury.refuse() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%.% is evidence: % is not allowed', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;


-- Decisions ----------------------------------------------------------------------------------------------------------------

-- Requests point to decisions by id and without a foreign key: a decision travels to this table and to the executor on two
-- ways of the same flow, and neither may wait for the other.
CREATE TABLE treasury.policy (
    version       text PRIMARY KEY,
    body          jsonb NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.policy IS 'Every policy that was ever in force; the version is a digest of the body.';

CREATE TABLE treasury.decision (
    id             text PRIMARY KEY,
    kind           text NOT NULL,
    book           text NOT NULL,
    venue          text NOT NULL,
    policy         text NOT NULL,
    policy_version text NOT NULL REFERENCES treasury.policy,
    action         text NOT NULL,
    rule           text NOT NULL,
    reason         text NOT NULL,
    amount         numeric(38, 0) NOT NULL,
    unit           text NOT NULL,
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

CREATE TRIGGER policy_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.policy
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER decision_is_immutable BEFORE UPDATE OR DELETE ON treasury.decision
    FOR EACH ROW EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER decision_is_not_emptied BEFORE TRUNCATE ON treasury.decision
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();


-- Requests to the outside --------------------------------------------------------------------------------------------------

-- The kinds of requests and their states stand in the program (domain/outbox/kinds.py), and `ballast migrate` writes them here.
-- What a state means for a row is its stage; so nothing below knows a kind, and a new one needs no SQL.
CREATE TABLE treasury.request_state (
    kind       text COLLATE "C",
    state      text COLLATE "C",
    stage      text NOT NULL CHECK (stage IN ('reserved', 'sent', 'unknown', 'under_way', 'ended', 'never_arrived')),
    takes_slot boolean NOT NULL,
    PRIMARY KEY (kind, state),
    UNIQUE (kind, state, stage, takes_slot)
);
COMMENT ON TABLE treasury.request_state IS 'The states of every kind of request, as the program has them.';
COMMENT ON COLUMN treasury.request_state.takes_slot IS 'Requests of this kind name what they occupy; of it one can be open.';

CREATE TABLE treasury.request (
    kind              text COLLATE "C" NOT NULL,
    client_id         text COLLATE "C" NOT NULL,
    counterparty      text NOT NULL,
    body              jsonb NOT NULL,
    decision_id       text NOT NULL GENERATED ALWAYS AS (body ->> 'decision_id') STORED,
    based_on_sequence bigint NOT NULL GENERATED ALWAYS AS ((body ->> 'based_on_sequence')::bigint) STORED
        CHECK (based_on_sequence >= 0),
    as_of             timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp((body ->> 'as_of')::float8 / 1000)) STORED,
    slot              text,
    takes_slot        boolean NOT NULL GENERATED ALWAYS AS (slot IS NOT NULL) STORED,
    state             text COLLATE "C" NOT NULL,
    stage             text NOT NULL,
    filled            numeric(38, 0) NOT NULL DEFAULT 0 CHECK (filled >= 0),
    sequence          bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    reason            text,
    reserved_at       timestamptz NOT NULL,
    sent_at           timestamptz,
    finished_at       timestamptz,
    PRIMARY KEY (kind, client_id),
    CONSTRAINT request_state_is_known FOREIGN KEY (kind, state, stage, takes_slot)
        REFERENCES treasury.request_state (kind, state, stage, takes_slot),
    CONSTRAINT request_end CHECK ((stage IN ('ended', 'never_arrived')) = (finished_at IS NOT NULL))
);
COMMENT ON TABLE treasury.request IS 'Everything asked of the outside, written down before it was sent.';
COMMENT ON COLUMN treasury.request.counterparty IS 'Who is asked: an account at an exchange, a provider, a wallet.';
COMMENT ON COLUMN treasury.request.body IS 'The message as it was decided.';
COMMENT ON COLUMN treasury.request.based_on_sequence IS 'The newest event of the counterparty that the decision knew.';
COMMENT ON COLUMN treasury.request.as_of IS 'The stream time of the decision.';
COMMENT ON COLUMN treasury.request.slot IS 'What the request occupies while it is open; NULL where many may be open at once.';
COMMENT ON COLUMN treasury.request.filled IS 'How much of it was done so far, without sign, in the unit of its kind.';
COMMENT ON COLUMN treasury.request.sequence IS 'The newest event of the counterparty about this request; 0: none.';

-- Whatever the code does, a second request cannot be open in a slot, and none is made twice from one decision.
CREATE UNIQUE INDEX one_open_request_per_slot ON treasury.request (slot) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX one_request_per_decision ON treasury.request (kind, decision_id) WHERE slot IS NOT NULL;

-- A reservation asks for the newest end in its slot, a gateway for what is open at its counterparty.
CREATE INDEX finished_request_by_sequence ON treasury.request (slot, sequence, client_id) WHERE finished_at IS NOT NULL;
CREATE INDEX open_request_by_counterparty ON treasury.request (counterparty) WHERE finished_at IS NULL;

CREATE FUNCTION treasury.keep_what_was_asked() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (NEW.kind, NEW.client_id, NEW.counterparty, NEW.body, NEW.slot, NEW.reserved_at)
        IS DISTINCT FROM (OLD.kind, OLD.client_id, OLD.counterparty, OLD.body, OLD.slot, OLD.reserved_at) THEN
        RAISE EXCEPTION '% % was asked for as it is, and stays so', OLD.kind, OLD.client_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- That a request never arrived is the one end that its counterparty may still correct.
CREATE FUNCTION treasury.keep_the_end() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.finished_at IS NOT NULL AND NOT (OLD.stage = 'never_arrived' AND NEW.stage = 'ended') THEN
        RAISE EXCEPTION '% % ended as % and stays so', OLD.kind, OLD.client_id, OLD.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- Who sends it need not wait until it looks again.
CREATE FUNCTION treasury.tell_of_reservation() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('treasury.request', NEW.counterparty);
    RETURN NULL;
END $$;

CREATE TRIGGER request_keeps_what_was_asked BEFORE UPDATE ON treasury.request
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_what_was_asked();
CREATE TRIGGER request_keeps_its_end BEFORE UPDATE ON treasury.request
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_the_end();
CREATE TRIGGER request_is_told AFTER INSERT ON treasury.request
    FOR EACH ROW EXECUTE FUNCTION treasury.tell_of_reservation();
CREATE TRIGGER request_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.request
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();


-- Their history ------------------------------------------------------------------------------------------------------------

-- Written with the row that it tells of, under a lock per counterparty, so the ids of a counterparty grow in the order of
-- commits and a reader that remembers the last id it read misses nothing. Reports to the flows are read from here.
CREATE TABLE treasury.request_change (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text COLLATE "C" NOT NULL,
    client_id    text COLLATE "C" NOT NULL,
    decision_id  text NOT NULL,
    counterparty text NOT NULL,
    state        text COLLATE "C" NOT NULL,
    filled       numeric(38, 0) NOT NULL,
    sequence     bigint NOT NULL,
    reason       text,
    changed_at   timestamptz NOT NULL,
    FOREIGN KEY (kind, client_id) REFERENCES treasury.request,
    FOREIGN KEY (kind, state) REFERENCES treasury.request_state
);
COMMENT ON TABLE treasury.request_change IS 'Each state of each request, in the order in which they were committed.';
CREATE INDEX request_change_by_counterparty ON treasury.request_change (counterparty, id);
CREATE INDEX request_change_by_client ON treasury.request_change (client_id, id);

CREATE TRIGGER request_change_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.request_change
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


-- What people should look at --------------------------------------------------------------------------------------------------

-- The same words as on the topics `alerts` and `legs.refused`. The digest of a message is its key, so telling again adds nothing.
CREATE TABLE treasury.alert (
    digest      bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    id          text COLLATE "C" NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('warning', 'critical')),
    subject     text NOT NULL,
    "text"      text NOT NULL,
    as_of       timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.alert IS 'What a person should look at, as often as it was said; one trouble has one id.';
CREATE INDEX alert_newest ON treasury.alert (as_of DESC);

CREATE TABLE treasury.leg_refusal (
    digest        bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    leg_id        text COLLATE "C" NOT NULL,
    reason        text NOT NULL,
    detail        text NOT NULL,
    source        text NOT NULL,
    source_offset bigint NOT NULL,
    as_of         timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.leg_refusal IS 'Legs that will not be paired, why, and where they were read.';
CREATE INDEX leg_refusal_by_leg ON treasury.leg_refusal (leg_id);

CREATE TRIGGER alert_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.alert
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER leg_refusal_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.leg_refusal
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
