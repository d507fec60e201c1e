-- depends: 0011_reconciling

-- What the treasury knows of its buffers, of conversions and of who carries them out. A row keeps the message as it was told, and
-- its columns are made of that, so a table cannot say anything else than the topic does. What people have said (thresholds,
-- providers) and every step of a job are evidence and stay; of a job, a window, a level and a provider's health the newest
-- word holds.
--
-- Whether a job is completed is not written here: its posting is in the ledger or it is not, and the views look there. So a
-- job and its money cannot disagree.

CREATE FUNCTION treasury.time_of(body jsonb, name text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_timestamp((body ->> name)::float8 / 1000);

CREATE FUNCTION treasury.ms_of(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(extract(EPOCH FROM at) * 1000)::bigint;

CREATE FUNCTION treasury.currency_of(buffer text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE buffer WHEN 'system_buffer_usdc' THEN 'USDC' ELSE 'USD' END;

CREATE FUNCTION treasury.whole(amount numeric, currency text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN amount * CASE currency WHEN 'USDC' THEN 0.000001 WHEN 'USD' THEN 0.01 END;
COMMENT ON FUNCTION treasury.whole IS 'An amount in minor units in whole ones, exact; a USDC counts as a dollar.';


-- What people say ---------------------------------------------------------------------------------------------------------

CREATE TABLE treasury.threshold (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body        jsonb NOT NULL,
    origin      text NOT NULL CHECK (origin IN ('topic', 'sql')),
    login       text,
    buffer      text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'buffer') STORED
        CHECK (buffer IN ('system_buffer_usdc', 'system_buffer_fiat', 'broker_operational')),
    min         numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'min')::numeric) STORED,
    target      numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'target')::numeric) STORED,
    max         numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'max')::numeric) STORED,
    batch       numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'batch')::numeric) STORED CHECK (batch > 0),
    model       text NOT NULL GENERATED ALWAYS AS (body ->> 'model') STORED,
    parameters  jsonb NOT NULL GENERATED ALWAYS AS (body -> 'parameters') STORED,
    by_whom     text NOT NULL GENERATED ALWAYS AS (body ->> 'by') STORED,
    reason      text NOT NULL GENERATED ALWAYS AS (body ->> 'reason') STORED,
    as_of       timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT threshold_is_ordered CHECK (0 < min AND min < target AND target < max),
    CHECK ((origin = 'sql') = (login IS NOT NULL))
);
COMMENT ON TABLE treasury.threshold IS 'Every version of what a buffer is kept between; the newest holds.';
COMMENT ON COLUMN treasury.threshold.origin IS 'Where it was said: on the topic, or here by an UPDATE of treasury.buffer_thresholds.';
COMMENT ON COLUMN treasury.threshold.login IS 'Who was logged in, where it was said by SQL; by_whom is what that person wrote.';
CREATE UNIQUE INDEX threshold_once ON treasury.threshold (buffer, as_of, hashtextextended(body::text, 0));
CREATE INDEX threshold_by_sql ON treasury.threshold (id) WHERE origin = 'sql';

CREATE TABLE treasury.provider (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body        jsonb NOT NULL,
    provider    text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'provider') STORED,
    kind        text NOT NULL GENERATED ALWAYS AS (body ->> 'kind') STORED,
    priority    numeric NOT NULL GENERATED ALWAYS AS ((body ->> 'priority')::numeric) STORED,
    status      text NOT NULL GENERATED ALWAYS AS (body ->> 'status') STORED,
    by_whom     text NOT NULL GENERATED ALWAYS AS (body ->> 'by') STORED,
    reason      text NOT NULL GENERATED ALWAYS AS (body ->> 'reason') STORED,
    as_of       timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.provider IS 'Every word on who converts money, and on which terms; the newest of a provider holds.';
CREATE UNIQUE INDEX provider_once ON treasury.provider (provider, as_of, hashtextextended(body::text, 0));


-- Conversions -------------------------------------------------------------------------------------------------------------

CREATE TABLE treasury.conversion_job (
    job_id         text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (body ->> 'job_id') STORED,
    body           jsonb NOT NULL,
    posting_id     uuid,
    created_at     timestamptz NOT NULL,
    sequence       integer NOT NULL GENERATED ALWAYS AS ((body ->> 'sequence')::integer) STORED CHECK (sequence > 0),
    decision_id    text NOT NULL GENERATED ALWAYS AS (body ->> 'decision_id') STORED,
    cause          text NOT NULL GENERATED ALWAYS AS (body ->> 'cause') STORED,
    state          text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'state') STORED,
    source         text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'source') STORED,
    destination    text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'destination') STORED,
    amount         numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'amount')::numeric) STORED CHECK (amount > 0),
    expected       numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'expected')::numeric) STORED,
    attempt        integer NOT NULL GENERATED ALWAYS AS ((body ->> 'attempt')::integer) STORED,
    retries        integer NOT NULL GENERATED ALWAYS AS ((body ->> 'retries')::integer) STORED,
    provider       text COLLATE "C" GENERATED ALWAYS AS (body ->> 'provider') STORED,
    client_id      text COLLATE "C" GENERATED ALWAYS AS (body ->> 'client_conversion_id') STORED,
    provider_tx_id text COLLATE "C" GENERATED ALWAYS AS (body ->> 'provider_tx_id') STORED,
    received       numeric(38, 0) GENERATED ALWAYS AS ((body ->> 'received')::numeric) STORED,
    fee            numeric(38, 0) GENERATED ALWAYS AS ((body ->> 'fee')::numeric) STORED,
    is_late        boolean NOT NULL GENERATED ALWAYS AS ((body ->> 'is_late')::boolean) STORED,
    as_of          timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE treasury.conversion_job IS 'Every conversion job after its newest step; what was ordered stays.';
COMMENT ON COLUMN treasury.conversion_job.body IS 'The newest word on it, as it was told.';
COMMENT ON COLUMN treasury.conversion_job.posting_id IS 'What books it, once its provider has named it: it is completed when the ledger has that.';
COMMENT ON COLUMN treasury.conversion_job.created_at IS 'The stream time of its first step.';
CREATE INDEX conversion_job_open ON treasury.conversion_job (created_at) WHERE state NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX conversion_job_newest ON treasury.conversion_job (as_of);
CREATE INDEX conversion_job_created ON treasury.conversion_job (created_at);

CREATE TABLE treasury.conversion_job_change (
    job_id      text COLLATE "C" GENERATED ALWAYS AS (body ->> 'job_id') STORED REFERENCES treasury.conversion_job,
    sequence    integer GENERATED ALWAYS AS ((body ->> 'sequence')::integer) STORED,
    body        jsonb NOT NULL,
    posting_id  uuid,
    state       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'state') STORED,
    as_of       timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, sequence)
);
COMMENT ON TABLE treasury.conversion_job_change IS 'Every step of every conversion job.';

CREATE FUNCTION treasury.keep_what_was_ordered() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ordered CONSTANT text[] := ARRAY['job_id', 'cause', 'source', 'destination', 'amount', 'window_end'];
    one text;
BEGIN
    FOREACH one IN ARRAY ordered LOOP
        IF NEW.body -> one IS DISTINCT FROM OLD.body -> one THEN
            RAISE EXCEPTION 'the job % was ordered as it is: its % stays', OLD.job_id, one
                USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    IF NEW.created_at IS DISTINCT FROM OLD.created_at THEN
        RAISE EXCEPTION 'the job % was ordered when it was', OLD.job_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;


-- How things stand --------------------------------------------------------------------------------------------------------

CREATE TABLE treasury.net_window (
    buffer text COLLATE "C" GENERATED ALWAYS AS (body ->> 'buffer') STORED,
    since  timestamptz GENERATED ALWAYS AS (treasury.time_of(body, 'start')) STORED,
    until  timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'end')) STORED CHECK (since < until),
    body   jsonb NOT NULL,
    flows  integer NOT NULL GENERATED ALWAYS AS ((body ->> 'flows')::integer) STORED,
    late   integer NOT NULL GENERATED ALWAYS AS ((body ->> 'late')::integer) STORED,
    open   numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'open')::numeric) STORED,
    close  numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'close')::numeric) STORED,
    low    numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'low')::numeric) STORED,
    net    numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'net')::numeric) STORED,
    gross  numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'gross')::numeric) STORED,
    as_of  timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    PRIMARY KEY (buffer, since)
);
COMMENT ON TABLE treasury.net_window IS 'What each window came to in each buffer.';

CREATE TABLE treasury.net_settlement (
    until         timestamptz PRIMARY KEY GENERATED ALWAYS AS (treasury.time_of(body, 'end')) STORED,
    body          jsonb NOT NULL,
    gross_cents   numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'gross_cents')::numeric) STORED,
    settled_cents numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'settled_cents')::numeric) STORED,
    as_of         timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED
);
COMMENT ON TABLE treasury.net_settlement IS 'Who pays whom when all entities settle a window at once.';

CREATE TABLE treasury.buffer_level (
    buffer             text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (body ->> 'buffer') STORED,
    body               jsonb NOT NULL,
    currency           text NOT NULL GENERATED ALWAYS AS (body ->> 'currency') STORED,
    posted             numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'posted')::numeric) STORED,
    in_flight          numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'in_flight')::numeric) STORED,
    reserved           numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'reserved')::numeric) STORED,
    min                numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'min')::numeric) STORED,
    target             numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'target')::numeric) STORED,
    max                numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'max')::numeric) STORED,
    status             text NOT NULL GENERATED ALWAYS AS (body ->> 'status') STORED,
    control            text NOT NULL GENERATED ALWAYS AS (body ->> 'control') STORED,
    falls_below_min_at timestamptz GENERATED ALWAYS AS (treasury.time_of(body, 'falls_below_min_at')) STORED,
    falls_earliest_at  timestamptz GENERATED ALWAYS AS (treasury.time_of(body, 'falls_earliest_at')) STORED,
    falls_latest_at    timestamptz GENERATED ALWAYS AS (treasury.time_of(body, 'falls_latest_at')) STORED,
    as_of              timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED
);
COMMENT ON TABLE treasury.buffer_level IS 'How each buffer stands, by the newest word.';

CREATE TABLE treasury.provider_health (
    provider         text COLLATE "C" PRIMARY KEY GENERATED ALWAYS AS (body ->> 'provider') STORED,
    body             jsonb NOT NULL,
    status           text NOT NULL GENERATED ALWAYS AS (body ->> 'status') STORED,
    is_healthy       boolean NOT NULL GENERATED ALWAYS AS ((body ->> 'is_healthy')::boolean) STORED,
    successes        integer NOT NULL GENERATED ALWAYS AS ((body ->> 'successes')::integer) STORED,
    failures         integer NOT NULL GENERATED ALWAYS AS ((body ->> 'failures')::integer) STORED,
    breaker          text NOT NULL GENERATED ALWAYS AS (body ->> 'breaker') STORED,
    daily_used_cents numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'daily_used_cents')::numeric) STORED,
    last_job_id      text GENERATED ALWAYS AS (body ->> 'last_job_id') STORED,
    as_of            timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED
);
COMMENT ON TABLE treasury.provider_health IS 'How each provider does, by the newest word.';


-- Guards and tallies ------------------------------------------------------------------------------------------------------

CREATE TRIGGER threshold_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.threshold
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER provider_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.provider
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER conversion_job_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.conversion_job
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER conversion_job_keeps_what_was_ordered BEFORE UPDATE ON treasury.conversion_job
    FOR EACH ROW EXECUTE FUNCTION treasury.keep_what_was_ordered();
CREATE TRIGGER conversion_job_change_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.conversion_job_change
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER net_window_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.net_window
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();
CREATE TRIGGER net_settlement_is_not_deleted BEFORE DELETE OR TRUNCATE ON treasury.net_settlement
    FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse();

ALTER TABLE treasury.tally DROP CONSTRAINT tally_subject_check;
ALTER TABLE treasury.tally ADD CONSTRAINT tally_subject_check
    CHECK (subject IN ('decision', 'hold', 'job', 'quarantine', 'request'));
COMMENT ON TABLE treasury.tally IS
    'How many decisions there are by kind, holds by kind/rule, jobs by state, messages in quarantine by topic, requests by kind/state.';

-- A job moves from one state to the next: two rows, taken in the order of their key.
CREATE FUNCTION treasury.jobs_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO treasury.tally AS t (subject, label, n)
    SELECT 'job', k.label, greatest(0, sum(k.n))
    FROM (SELECT NEW.state AS label, 1 AS n UNION ALL SELECT OLD.state, -1 WHERE tg_op = 'UPDATE') k
    GROUP BY k.label HAVING sum(k.n) <> 0 ORDER BY k.label
    ON CONFLICT (subject, label) DO UPDATE SET n = t.n + CASE WHEN excluded.n > 0 THEN 1 ELSE -1 END;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_move AFTER INSERT OR UPDATE ON treasury.conversion_job
    FOR EACH ROW EXECUTE FUNCTION treasury.jobs_move();


-- Thresholds by SQL -------------------------------------------------------------------------------------------------------

CREATE VIEW treasury.buffer_thresholds AS
SELECT DISTINCT ON (t.buffer) t.buffer, treasury.currency_of(t.buffer) AS currency, t.min, t.target, t.max, t.batch, t.model,
    t.parameters, t.by_whom, t.reason, t.as_of, t.origin
FROM treasury.threshold t
ORDER BY t.buffer, t.as_of DESC, t.id DESC;
COMMENT ON VIEW treasury.buffer_thresholds IS
    'What each buffer is kept between. An UPDATE appends a version that the flow is told of: SET min = …, by_whom = …, reason = …';

-- Those who say something by SQL do so one after the other, so the ids of what they say grow in the order of commits, and a reader
-- that remembers the last id it read misses nothing.
CREATE FUNCTION treasury.say_thresholds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told timestamptz := date_trunc('milliseconds', clock_timestamp());
    said jsonb;
BEGIN
    IF tg_op = 'UPDATE' THEN
        IF (NEW.buffer, NEW.currency, NEW.as_of, NEW.origin) IS DISTINCT FROM (OLD.buffer, OLD.currency, OLD.as_of, OLD.origin) THEN
            RAISE EXCEPTION 'buffer, currency, as_of and origin stay; set min, target, max, batch, model or parameters'
                USING ERRCODE = 'restrict_violation';
        END IF;
        -- The newest word holds, so this one is it.
        told := greatest(told, OLD.as_of + INTERVAL '1 millisecond');
        IF NEW.reason IS NOT DISTINCT FROM OLD.reason THEN
            RAISE EXCEPTION 'the change of % needs a reason and who says so: SET …, by_whom = ''…'', reason = ''…''', OLD.buffer
                USING ERRCODE = 'restrict_violation';
        END IF;
    END IF;
    IF NOT coalesce(0 < NEW.min AND NEW.min < NEW.target AND NEW.target < NEW.max, FALSE) THEN
        RAISE EXCEPTION 'min < target < max does not hold for %: %, %, %', NEW.buffer, NEW.min, NEW.target, NEW.max
            USING ERRCODE = 'check_violation', HINT = 'Set all that have to move in one UPDATE; amounts are in minor units.';
    END IF;
    IF NEW.max > 1e30 OR NOT coalesce(NEW.batch BETWEEN 1 AND 1e30, FALSE) THEN
        RAISE EXCEPTION 'batch has to be more than zero, and no amount more than 10^30: %, %', NEW.batch, NEW.max
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.model := coalesce(NEW.model, 'fixed');
    IF NEW.model = 'fixed' THEN
        NEW.parameters := '{}';
    ELSIF tg_op = 'INSERT' OR (NEW.model, NEW.parameters) IS DISTINCT FROM (OLD.model, OLD.parameters) THEN
        -- What a model wants to be told is known to the program, which would not take what does not fit.
        RAISE EXCEPTION 'by SQL a model can only be set back to fixed; % is set by: ballast treasury thresholds % --model %',
            NEW.model, NEW.buffer, NEW.model USING ERRCODE = 'check_violation';
    END IF;
    IF coalesce(btrim(NEW.by_whom) = '' OR length(NEW.by_whom) > 64 OR NEW.by_whom ~ '[[:cntrl:]]', TRUE)
        OR coalesce(btrim(NEW.reason) = '' OR length(NEW.reason) > 256 OR NEW.reason ~ '[[:cntrl:]]', TRUE) THEN
        RAISE EXCEPTION 'by_whom is a name of at most 64 characters, reason a sentence of at most 256, both on one line'
            USING ERRCODE = 'check_violation';
    END IF;
    said := jsonb_build_object(
        'schema_version', 1, 'buffer', NEW.buffer, 'min', NEW.min::numeric(38, 0), 'target', NEW.target::numeric(38, 0),
        'max', NEW.max::numeric(38, 0), 'batch', NEW.batch::numeric(38, 0), 'model', NEW.model, 'parameters', NEW.parameters,
        'by', NEW.by_whom, 'reason', NEW.reason, 'as_of', treasury.ms_of(told));
    PERFORM pg_advisory_xact_lock(hashtextextended('treasury.threshold', 0));
    INSERT INTO treasury.threshold (body, origin, login) VALUES (said, 'sql', session_user);
    PERFORM pg_notify('treasury.threshold', NEW.buffer);
    RETURN NEW;
END $$;
CREATE TRIGGER thresholds_are_said INSTEAD OF INSERT OR UPDATE ON treasury.buffer_thresholds
    FOR EACH ROW EXECUTE FUNCTION treasury.say_thresholds();


-- What people look at -----------------------------------------------------------------------------------------------------

CREATE VIEW treasury.v_buffer_status AS
SELECT s.buffer, s.currency, s.status, s.posted, s.in_flight, s.reserved, s.available, s.position, s.min, s.target, s.max,
    greatest(0, s.target - s.position) AS amount_to_target,
    CASE WHEN s.position > s.max THEN s.position - s.target ELSE 0 END AS excess,
    round(100 * s.available / s.target, 2) AS utilisation_pct,
    treasury.whole(s.available, s.currency) AS available_whole,
    treasury.whole(s.position, s.currency) AS position_whole,
    treasury.whole(s.min, s.currency) AS min_whole,
    treasury.whole(s.target, s.currency) AS target_whole,
    treasury.whole(s.max, s.currency) AS max_whole,
    treasury.whole(greatest(0, s.target - s.position), s.currency) AS amount_to_target_whole,
    s.control, s.as_of
FROM (
    SELECT l.*, l.posted - l.reserved AS available, l.posted + l.in_flight - l.reserved AS position
    FROM treasury.buffer_level l
) s
ORDER BY array_position(ARRAY['CRITICAL_LOW', 'BELOW_TARGET', 'OVER_CAPITALIZED', 'HEALTHY'], s.status),
    s.position / s.target, s.buffer;
COMMENT ON VIEW treasury.v_buffer_status IS
    'How buffers stand, the worst first; amounts in minor units, and in whole ones where the name says so.';

CREATE VIEW treasury.v_buffer_forecast AS
SELECT l.buffer, l.currency, l.posted + l.in_flight - l.reserved AS position, l.min, l.falls_below_min_at,
    l.falls_earliest_at, l.falls_latest_at,
    floor(extract(EPOCH FROM l.falls_below_min_at - l.as_of))::bigint AS seconds_left, l.as_of
FROM treasury.buffer_level l
ORDER BY l.falls_below_min_at NULLS LAST, l.buffer;
COMMENT ON VIEW treasury.v_buffer_forecast IS 'When each buffer falls under its minimum at the present rate, the first one first.';

-- The posting decides: where the ledger has it the job is completed, whatever was said, and without it none is.
CREATE VIEW treasury.v_conversion_jobs AS
SELECT j.job_id, j.cause,
    CASE WHEN t.tx_id IS NOT NULL THEN 'completed' WHEN j.state = 'completed' THEN 'ledger_updating' ELSE j.state END AS state,
    j.state AS told_state, j.provider, j.source, j.destination,
    treasury.currency_of(j.source) AS source_currency, j.amount, treasury.whole(j.amount, treasury.currency_of(j.source)) AS amount_whole,
    treasury.currency_of(j.destination) AS destination_currency, j.expected, j.received, j.fee,
    treasury.whole(j.fee, treasury.currency_of(j.destination)) AS fee_whole,
    j.attempt, j.retries, j.client_id, j.provider_tx_id, j.posting_id, t.tx_id IS NOT NULL AS is_booked,
    r.tx_id AS reversed_by, j.is_late, (j.body ->> 'awaits_approval')::boolean AS awaits_approval, j.body ->> 'asked_by' AS asked_by,
    j.body ->> 'error' AS error, j.body ->> 'reason' AS reason, j.decision_id, j.sequence, j.created_at,
    treasury.time_of(j.body, 'due_at') AS due_at, treasury.time_of(j.body, 'submitted_at') AS submitted_at,
    treasury.time_of(j.body, 'eta_at') AS eta_at, t.effective_at AS completed_at,
    extract(EPOCH FROM t.effective_at - j.created_at) AS conversion_seconds, j.as_of
FROM treasury.conversion_job j
LEFT JOIN ledger.tx t ON t.tx_id = j.posting_id
LEFT JOIN ledger.resolution r ON r.cause_tx_id = j.posting_id AND r.relation = 'reversed' AND r.part = 0;
COMMENT ON VIEW treasury.v_conversion_jobs IS
    'Every job; state is completed when the ledger has its posting, and only then. told_state is what was said of it last.';

CREATE VIEW treasury.v_active_conversion_jobs AS
SELECT v.* FROM treasury.v_conversion_jobs v
WHERE v.state NOT IN ('completed', 'failed', 'cancelled')
ORDER BY v.created_at, v.job_id;
COMMENT ON VIEW treasury.v_active_conversion_jobs IS 'The jobs that have not ended, the oldest first.';

CREATE VIEW treasury.v_stale_jobs AS
SELECT v.job_id, v.state, v.provider, v.client_id, v.provider_tx_id, v.source, v.destination, v.amount, v.submitted_at, v.eta_at,
    floor(extract(EPOCH FROM now() - v.submitted_at))::bigint AS seconds_with_provider,
    coalesce(v.eta_at < now(), FALSE) AS is_past_eta, v.error, v.reason, v.as_of
FROM treasury.v_conversion_jobs v
WHERE v.told_state NOT IN ('pending', 'failed', 'cancelled') AND NOT v.is_booked
    AND (v.submitted_at < now() - INTERVAL '30 minutes' OR v.eta_at < now())
ORDER BY v.submitted_at, v.job_id;
COMMENT ON VIEW treasury.v_stale_jobs IS
    'Jobs that are with their provider, or done there and not booked, for more than 30 minutes or past the time that it named.';

CREATE VIEW treasury.v_conversion_stats AS
SELECT v.provider, (v.created_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS total,
    count(*) FILTER (WHERE v.state = 'completed') AS completed,
    count(*) FILTER (WHERE v.state = 'failed') AS failed,
    round(100.0 * count(*) FILTER (WHERE v.state = 'failed')
        / nullif(count(*) FILTER (WHERE v.state IN ('completed', 'failed')), 0), 2) AS failure_rate_pct,
    coalesce(sum(v.amount_whole) FILTER (WHERE v.state = 'completed'), 0) AS volume_whole,
    coalesce(sum(v.fee_whole) FILTER (WHERE v.state = 'completed'), 0) AS fees_whole,
    round(avg(v.conversion_seconds) FILTER (WHERE v.state = 'completed'), 2) AS average_seconds
FROM treasury.v_conversion_jobs v
GROUP BY 1, 2
ORDER BY 2 DESC, 1;
COMMENT ON VIEW treasury.v_conversion_stats IS
    'Conversions per provider and day (UTC) of their beginning; a USDC counts as a dollar, and of time only what completed counts.';

CREATE VIEW treasury.v_provider_health AS
SELECT p.provider, p.kind, p.priority, coalesce(h.status, p.status) AS status, coalesce(h.is_healthy, TRUE) AS is_healthy,
    coalesce(h.successes, 0) AS successes, coalesce(h.failures, 0) AS failures,
    round(100.0 * h.successes / nullif(h.successes + h.failures, 0), 2) AS success_rate_pct,
    coalesce(h.breaker, 'closed') AS breaker, coalesce(h.daily_used_cents, 0) AS daily_used_cents,
    (p.body ->> 'daily_max_cents')::numeric(38, 0) AS daily_max_cents,
    (p.body ->> 'ticket_min_cents')::numeric(38, 0) AS ticket_min_cents,
    (p.body ->> 'ticket_max_cents')::numeric(38, 0) AS ticket_max_cents,
    (p.body ->> 'fee_bps')::numeric AS fee_bps, (p.body ->> 'eta_seconds')::numeric AS eta_seconds,
    h.last_job_id, h.as_of
FROM (SELECT DISTINCT ON (c.provider) c.* FROM treasury.provider c ORDER BY c.provider, c.as_of DESC, c.id DESC) p
LEFT JOIN treasury.provider_health h USING (provider)
ORDER BY coalesce(h.is_healthy, TRUE), array_position(ARRAY['open', 'half_open', 'closed'], coalesce(h.breaker, 'closed')),
    array_position(ARRAY['degraded', 'active', 'inactive'], coalesce(h.status, p.status)), p.priority, p.provider;
COMMENT ON VIEW treasury.v_provider_health IS 'How the providers do, the worst first; successes and failures are the last ones.';

CREATE VIEW treasury.v_net_settlement AS
SELECT s.until, s.gross_cents, s.settled_cents,
    round(100 * (s.gross_cents - s.settled_cents) / nullif(s.gross_cents, 0), 2) AS saved_pct,
    jsonb_array_length(s.body -> 'payments') AS n_payments, s.body -> 'payments' AS payments, s.body -> 'net_cents' AS net_cents,
    s.as_of
FROM treasury.net_settlement s
ORDER BY s.until DESC;
COMMENT ON VIEW treasury.v_net_settlement IS 'What entities would have paid each other, and what they pay when all settle at once.';


-- Rights ------------------------------------------------------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION treasury.keep_what_was_ordered(), treasury.jobs_move(), treasury.say_thresholds() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION treasury.time_of(jsonb, text), treasury.ms_of(timestamptz), treasury.currency_of(text),
    treasury.whole(numeric, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION treasury.time_of(jsonb, text), treasury.ms_of(timestamptz), treasury.currency_of(text),
    treasury.whole(numeric, text) TO ballast_executor, ballast_api, ballast_reader, ballast_migrator;

GRANT SELECT ON treasury.threshold, treasury.provider, treasury.conversion_job, treasury.conversion_job_change,
    treasury.net_window, treasury.net_settlement, treasury.buffer_level, treasury.provider_health
    TO ballast_executor, ballast_api, ballast_reader;
GRANT SELECT ON treasury.buffer_thresholds, treasury.v_buffer_status, treasury.v_buffer_forecast, treasury.v_conversion_jobs,
    treasury.v_active_conversion_jobs, treasury.v_stale_jobs, treasury.v_conversion_stats, treasury.v_provider_health,
    treasury.v_net_settlement TO ballast_executor, ballast_api, ballast_reader;
GRANT INSERT (body, origin) ON treasury.threshold TO ballast_executor;
GRANT INSERT (body) ON treasury.provider TO ballast_executor;
GRANT INSERT (body, posting_id, created_at), UPDATE (body, posting_id) ON treasury.conversion_job TO ballast_executor;
GRANT INSERT (body, posting_id) ON treasury.conversion_job_change TO ballast_executor;
GRANT INSERT (body), UPDATE (body) ON treasury.net_window, treasury.net_settlement, treasury.buffer_level,
    treasury.provider_health TO ballast_executor;
GRANT INSERT (buffer, min, target, max, batch, model, parameters, by_whom, reason),
    UPDATE (min, target, max, batch, model, parameters, by_whom, reason) ON treasury.buffer_thresholds TO ballast_api;

-- As all that is there already, they are the migrator's.
DO $$
DECLARE
    owned TEXT;
BEGIN
    FOREACH owned IN ARRAY ARRAY['threshold', 'provider', 'conversion_job', 'conversion_job_change', 'net_window',
        'net_settlement', 'buffer_level', 'provider_health'] LOOP
        EXECUTE format('ALTER TABLE treasury.%I OWNER TO ballast_migrator', owned);
    END LOOP;
    FOREACH owned IN ARRAY ARRAY['buffer_thresholds', 'v_buffer_status', 'v_buffer_forecast', 'v_conversion_jobs',
        'v_active_conversion_jobs', 'v_stale_jobs', 'v_conversion_stats', 'v_provider_health', 'v_net_settlement'] LOOP
        EXECUTE format('ALTER VIEW treasury.%I OWNER TO ballast_migrator', owned);
    END LOOP;
    FOREACH owned IN ARRAY ARRAY['keep_what_was_ordered()', 'jobs_move()', 'say_thresholds()', 'time_of(jsonb, text)',
        'ms_of(timestamptz)', 'currency_of(text)', 'whole(numeric, text)'] LOOP
        EXECUTE format('ALTER FUNCTION treasury.%s OWNER TO ballast_migrator', owned);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'tables stay with %: it is no member of ballast_migrator', current_user;
END $$;
