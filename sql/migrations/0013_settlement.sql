-- depends: 0012_buffers

-- What the settlement of matched trades knows beside the books: on which terms is traded, and what was refused. Balances and
-- settled trades are the ledger's own, and the views look there. A row keeps the message as it was told, and its columns are
-- made of that. All of it is evidence: nothing is altered, nothing is deleted.
CREATE SCHEMA settlement;
COMMENT ON SCHEMA settlement IS 'Terms of trading, what the settlement refused, and views over customers'' balances and trades.';
GRANT USAGE ON SCHEMA settlement TO ballast_writer, ballast_executor, ballast_api, ballast_reader;


-- Terms -------------------------------------------------------------------------------------------------------------------

CREATE TABLE settlement.instrument (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body           jsonb NOT NULL,
    symbol         text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'symbol') STORED,
    base           text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'base') STORED,
    base_decimals  integer NOT NULL GENERATED ALWAYS AS ((body ->> 'base_decimals')::integer) STORED,
    quote          text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'quote') STORED,
    quote_decimals integer NOT NULL GENERATED ALWAYS AS ((body ->> 'quote_decimals')::integer) STORED,
    tick           numeric NOT NULL GENERATED ALWAYS AS ((body ->> 'tick')::numeric) STORED,
    lot            numeric(38, 0) NOT NULL GENERATED ALWAYS AS ((body ->> 'lot')::numeric) STORED,
    status         text NOT NULL GENERATED ALWAYS AS (body ->> 'status') STORED,
    fees           text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'fees') STORED,
    level_min      integer NOT NULL GENERATED ALWAYS AS ((body ->> 'level_min')::integer) STORED,
    by_whom        text NOT NULL GENERATED ALWAYS AS (body ->> 'by') STORED,
    reason         text NOT NULL GENERATED ALWAYS AS (body ->> 'reason') STORED,
    as_of          timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE settlement.instrument IS 'Every word on what can be traded; which of them hold stands in settlement.v_instruments.';
CREATE UNIQUE INDEX instrument_once ON settlement.instrument (symbol, as_of, hashtextextended(body::text, 0));

CREATE VIEW settlement.v_instruments AS
SELECT DISTINCT ON (n.symbol) n.*
FROM settlement.instrument n
JOIN (
    SELECT DISTINCT ON (o.symbol) o.symbol, o.base, o.base_decimals, o.quote, o.quote_decimals
    FROM settlement.instrument o ORDER BY o.symbol, o.id
) f USING (symbol, base, base_decimals, quote, quote_decimals)
ORDER BY n.symbol, n.id DESC;
COMMENT ON VIEW settlement.v_instruments IS
    'What can be traded now: the newest word on each symbol that leaves its pair as it was told first; others are passed over.';

CREATE TABLE settlement.fee_schedule (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body        jsonb NOT NULL,
    fees        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'fees') STORED,
    levels      jsonb NOT NULL GENERATED ALWAYS AS (body -> 'levels') STORED,
    by_whom     text NOT NULL GENERATED ALWAYS AS (body ->> 'by') STORED,
    reason      text NOT NULL GENERATED ALWAYS AS (body ->> 'reason') STORED,
    as_of       timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE settlement.fee_schedule IS
    'Every word on what trading costs: by level, millionths of the cost for who rested and for who took. The newest holds.';
CREATE UNIQUE INDEX fee_schedule_once ON settlement.fee_schedule (fees, as_of, hashtextextended(body::text, 0));

CREATE TABLE settlement.customer_terms (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body        jsonb NOT NULL,
    customer    text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body ->> 'customer') STORED,
    level       integer NOT NULL GENERATED ALWAYS AS ((body ->> 'level')::integer) STORED,
    status      text NOT NULL GENERATED ALWAYS AS (body ->> 'status') STORED,
    by_whom     text NOT NULL GENERATED ALWAYS AS (body ->> 'by') STORED,
    reason      text NOT NULL GENERATED ALWAYS AS (body ->> 'reason') STORED,
    as_of       timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE settlement.customer_terms IS 'Every word on how customers trade, and whether; the newest of a customer holds.';
CREATE UNIQUE INDEX customer_terms_once ON settlement.customer_terms (customer, as_of, hashtextextended(body::text, 0));


-- What was refused --------------------------------------------------------------------------------------------------------

-- Asked for by the name of a word; its digest tells the word from another one under that name. Of words that came more than
-- once, the first place in a partition stands.
CREATE TABLE settlement.refusal (
    kind        text COLLATE "C" NOT NULL CHECK (kind IN (
        'trade', 'replay', 'lock', 'unlock', 'deposit', 'withdrawal', 'debit', 'transfer', 'correction'
    )),
    word_id     text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL CHECK (octet_length(digest) = 16),
    source      text COLLATE "C" NOT NULL,
    "offset"    bigint NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    shortfall   numeric(38, 0),
    body        jsonb NOT NULL,
    symbol      text COLLATE "C" GENERATED ALWAYS AS (coalesce(body ->> 'symbol', body -> 'trade' ->> 'symbol')) STORED,
    sequence    bigint GENERATED ALWAYS AS (coalesce(body ->> 'sequence', body -> 'trade' ->> 'sequence')::bigint) STORED,
    as_of       timestamptz NOT NULL GENERATED ALWAYS AS (treasury.time_of(body, 'as_of')) STORED,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, word_id, digest, source)
);
COMMENT ON TABLE settlement.refusal IS 'Words that led to no posting, why, and by how much where something was too little.';
COMMENT ON COLUMN settlement.refusal.word_id IS 'The id of the trade, order, flow or correction; of a replay that of its trade.';
CREATE INDEX refusal_newest ON settlement.refusal (recorded_at DESC);
CREATE INDEX refusal_by_sequence ON settlement.refusal (symbol, sequence) WHERE kind = 'trade';

DO $$
DECLARE
    kept TEXT;
BEGIN
    FOREACH kept IN ARRAY ARRAY['instrument', 'fee_schedule', 'customer_terms', 'refusal'] LOOP
        EXECUTE format('CREATE TRIGGER %1$s_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement.%1$I
            FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse()', kept);
    END LOOP;
END $$;


-- Trades and balances, as the books have them ------------------------------------------------------------------------------

-- It has symbols in the database's own collation, and is used by whoever compares in that.
CREATE INDEX tx_trade_sequence ON ledger.tx ((meta ->> 'symbol'), ((meta ->> 'sequence')::bigint))
    WHERE template = 'TRADE_SETTLED';

CREATE VIEW settlement.v_trades AS
SELECT t.meta ->> 'trade' AS trade_id, t.meta ->> 'symbol' AS symbol, (t.meta ->> 'sequence')::bigint AS sequence,
    t.meta ->> 'price' AS price, t.meta ->> 'buyer' AS buyer, t.meta ->> 'seller' AS seller, t.meta ->> 'maker' AS maker,
    t.meta ->> 'buy_order' AS buy_order, t.meta ->> 'sell_order' AS sell_order,
    (t.meta ->> 'buyer_fee')::numeric AS buyer_fee, (t.meta ->> 'seller_fee')::numeric AS seller_fee,
    t.meta ->> 'hash' AS hash, t.tx_id, t.batch_id, t.position, t.effective_at AS settled_at, r.tx_id AS reversed_by
FROM ledger.tx t
LEFT JOIN ledger.resolution r ON r.cause_tx_id = t.tx_id AND r.relation = 'reversed' AND r.part = 0
WHERE t.template = 'TRADE_SETTLED';
COMMENT ON VIEW settlement.v_trades IS 'Settled trades; fees are in smallest units of the quote, prices in whole units of it.';

CREATE VIEW settlement.v_balances AS
SELECT b.customer, b.asset,
    coalesce(sum(b.amount) FILTER (WHERE b.kind = 'CUSTOMER'), 0) AS available,
    coalesce(sum(b.amount) FILTER (WHERE b.kind = 'CUSTOMER_LOCKED'), 0) AS locked,
    coalesce(-sum(b.amount) FILTER (WHERE b.kind = 'CUSTOMER_DEBT'), 0) AS debt,
    sum(b.version) AS version
FROM (
    SELECT split_part(a.code, '/', 1) AS kind, substr(a.code, strpos(a.code, '/') + 1) AS customer, l.currency AS asset,
        l.settled_credit - l.settled_debit AS amount, l.version
    FROM ledger.account a JOIN ledger.balance l USING (account_id)
    WHERE a.shard = 8 AND a.code LIKE 'CUSTOMER%/%'
) b
GROUP BY b.customer, b.asset;
COMMENT ON VIEW settlement.v_balances IS
    'What customers have, in smallest units of each asset; version counts the entries of all three accounts. '
    'Of one customer rather: SELECT * FROM settlement.balances_of(...), which reads nothing else.';

CREATE FUNCTION settlement.balances_of(customer text)
RETURNS TABLE (asset text, available numeric, locked numeric, debt numeric, version numeric)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.currency,
        coalesce(sum(l.settled_credit - l.settled_debit) FILTER (WHERE a.code = 'CUSTOMER/' || $1), 0),
        coalesce(sum(l.settled_credit - l.settled_debit) FILTER (WHERE a.code = 'CUSTOMER_LOCKED/' || $1), 0),
        coalesce(sum(l.settled_debit - l.settled_credit) FILTER (WHERE a.code = 'CUSTOMER_DEBT/' || $1), 0),
        sum(l.version)
    FROM ledger.account a JOIN ledger.balance l USING (account_id)
    WHERE a.code IN ('CUSTOMER/' || $1, 'CUSTOMER_LOCKED/' || $1, 'CUSTOMER_DEBT/' || $1)
    GROUP BY l.currency ORDER BY l.currency
$$;
COMMENT ON FUNCTION settlement.balances_of IS 'All balances of a customer, in smallest units, by the keys of three accounts.';

CREATE VIEW settlement.v_zero_sum AS
SELECT l.currency AS asset,
    coalesce(sum(l.settled_credit - l.settled_debit) FILTER (WHERE a.code LIKE 'CUSTOMER%/%' AND a.normal_side = -1), 0) AS customers,
    coalesce(sum(l.settled_debit - l.settled_credit) FILTER (WHERE a.code LIKE 'CUSTOMER_DEBT/%'), 0) AS debts,
    coalesce(sum(l.settled_credit - l.settled_debit) FILTER (WHERE a.code = 'TRADING_REVENUE'), 0) AS revenue,
    coalesce(sum(l.settled_debit - l.settled_credit) FILTER (WHERE a.code = 'CUSTODY'), 0) AS custody,
    coalesce(sum(l.settled_debit - l.settled_credit) FILTER (WHERE a.code = 'CUSTOMER_CORRECTIONS'), 0) AS corrections,
    sum(l.settled_credit - l.settled_debit) AS residual
FROM ledger.account a JOIN ledger.balance l USING (account_id)
WHERE a.shard = 8
GROUP BY l.currency;
COMMENT ON VIEW settlement.v_zero_sum IS
    'Per asset what customers have and owe, what was earned, what is held for them; the residual is zero, always.';

CREATE VIEW settlement.v_settlement_lag AS
SELECT i.symbol, i.status, s.sequence AS last_sequence, s.settled_at AS last_settled_at, s.trade_id AS last_trade_id,
    (SELECT count(*) FROM settlement.refusal f WHERE f.kind = 'trade' AND f.symbol = i.symbol) AS refused
FROM settlement.v_instruments i
LEFT JOIN LATERAL (
    SELECT (t.meta ->> 'sequence')::bigint AS sequence, t.effective_at AS settled_at, t.meta ->> 'trade' AS trade_id
    FROM ledger.tx t WHERE t.template = 'TRADE_SETTLED' AND t.meta ->> 'symbol' = i.symbol COLLATE "default"
    ORDER BY (t.meta ->> 'sequence')::bigint DESC LIMIT 1
) s ON TRUE
ORDER BY i.symbol;
COMMENT ON VIEW settlement.v_settlement_lag IS 'How far each symbol has settled, and how many of its trades were refused.';

CREATE VIEW settlement.v_quarantine AS
SELECT f.symbol, f.sequence, f.word_id AS trade_id, f.reason, f.shortfall, f.source, f."offset", f.as_of, f.recorded_at,
    t.tx_id IS NOT NULL AS is_settled, f.body
FROM settlement.refusal f
LEFT JOIN LATERAL (
    SELECT n.tx_id FROM ledger.tx n
    WHERE n.template = 'TRADE_SETTLED' AND n.meta ->> 'symbol' = f.symbol COLLATE "default"
        AND (n.meta ->> 'sequence')::bigint = f.sequence AND n.meta ->> 'hash' = f.body ->> 'hash'
    LIMIT 1
) t ON TRUE
WHERE f.kind = 'trade';
COMMENT ON VIEW settlement.v_quarantine IS 'Trades that could not settle, why, and whether they were settled after all.';


-- Accounts of customers open while trades are booked ----------------------------------------------------------------------

-- An account that opens changes nothing for the writers of other shards, and they should not read their books anew for it.
DROP TRIGGER reference_changes ON ledger.account;
CREATE TRIGGER reference_changes BEFORE UPDATE ON ledger.account EXECUTE FUNCTION ledger.reference_changes();

CREATE FUNCTION ledger.account_opens() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE ledger.writer w SET reference_revision = w.reference_revision + 1
    WHERE w.shard IN (SELECT n.shard FROM new_rows n);
    RETURN NULL;
END $$;
CREATE TRIGGER account_opens AFTER INSERT ON ledger.account REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION ledger.account_opens();


-- Rights ------------------------------------------------------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION ledger.account_opens() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION settlement.balances_of(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settlement.balances_of(text) TO ballast_executor, ballast_api, ballast_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA settlement TO ballast_executor, ballast_api, ballast_reader;
GRANT INSERT (body) ON settlement.instrument, settlement.fee_schedule, settlement.customer_terms TO ballast_executor;
GRANT INSERT (kind, word_id, digest, source, "offset", reason, shortfall, body) ON settlement.refusal TO ballast_executor;

-- As all that is there already, they are the migrator's.
DO $$
DECLARE
    owned TEXT;
BEGIN
    ALTER SCHEMA settlement OWNER TO ballast_migrator;
    FOREACH owned IN ARRAY ARRAY['instrument', 'fee_schedule', 'customer_terms', 'refusal'] LOOP
        EXECUTE format('ALTER TABLE settlement.%I OWNER TO ballast_migrator', owned);
    END LOOP;
    FOREACH owned IN ARRAY ARRAY['v_instruments', 'v_trades', 'v_balances', 'v_zero_sum', 'v_settlement_lag', 'v_quarantine'] LOOP
        EXECUTE format('ALTER VIEW settlement.%I OWNER TO ballast_migrator', owned);
    END LOOP;
    ALTER FUNCTION settlement.balances_of(text) OWNER TO ballast_migrator;
    ALTER FUNCTION ledger.account_opens() OWNER TO ballast_migrator;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'tables stay with %: it is no member of ballast_migrator', current_user;
END $$;
