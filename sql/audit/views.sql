-- Views over the folder of an archive, for the duckdb shell or for Python. This is the only file that knows where
-- things are.
--
--   duckdb> SET VARIABLE folder = 'DIR';
--   duckdb> .read sql/audit/views.sql
--   duckdb> .read sql/audit/I3_every_transaction_balances.sql
--
--   duck = duckdb.connect(); duck.execute("SET VARIABLE folder = 'DIR'"); duck.execute(open("sql/audit/views.sql").read())
--
-- Every other file here is two questions to these views. The first gives the rows that break what its first line says,
-- none if it holds; the second, under "figures", over how many things it was asked, so that a pass over nothing is not
-- taken for one. Where a third stands, under "pieces", it gives the last batches of pieces that are asked one after the other,
-- each from `first_batch` to `last_batch`.
-- Amounts are whole minor units, times whole microseconds since 1970 in UTC (`_us`) or, of a broker, milliseconds
-- (`at_ms`).
-- Ids are a namespace of their own in every table; "offset" is a word of SQL and wants its quotation marks.

SET VARIABLE first_batch = -9223372036854775807;
SET VARIABLE last_batch = 9223372036854775807;
CREATE OR REPLACE MACRO is_asked(batch_id) AS batch_id BETWEEN getvariable('first_batch') AND getvariable('last_batch');

-- The ledger ---------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW account AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/account/*.parquet');
CREATE OR REPLACE VIEW account_change AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/account_change/*.parquet');
CREATE OR REPLACE VIEW batch AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/batch/*.parquet');
CREATE OR REPLACE VIEW tx AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/tx/*.parquet');
CREATE OR REPLACE VIEW entry AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/entry/*.parquet');
CREATE OR REPLACE VIEW reject AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/reject/*.parquet');
CREATE OR REPLACE VIEW conflict AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/conflict/*.parquet');
CREATE OR REPLACE VIEW effective_delta AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/effective_delta/*.parquet');
CREATE OR REPLACE VIEW resolution AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/resolution/*.parquet');
CREATE OR REPLACE VIEW balance AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/balance/*.parquet');
CREATE OR REPLACE VIEW closed_period AS
SELECT * FROM read_parquet(getvariable('folder') || '/ledger/closed_period/*.parquet');

-- The treasury -------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW policy AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/policy/*.parquet');
CREATE OR REPLACE VIEW decision AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/decision/*.parquet');
CREATE OR REPLACE VIEW request AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/request/*.parquet');
CREATE OR REPLACE VIEW request_change AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/request_change/*.parquet');
CREATE OR REPLACE VIEW quarantine AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/quarantine/*.parquet');
CREATE OR REPLACE VIEW alert AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/alert/*.parquet');
CREATE OR REPLACE VIEW leg_refusal AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/leg_refusal/*.parquet');
CREATE OR REPLACE VIEW gauge AS
SELECT * FROM read_parquet(getvariable('folder') || '/treasury/gauge/*.parquet');

-- Tables that folders of the first version do not have: there they are empty. A row is the message that it was made of.
CREATE OR REPLACE MACRO later(name) AS TABLE
SELECT TRY(CAST(body AS JSON)) AS said, recorded_at_us
FROM read_parquet(getvariable('folder') || '/treasury/*/*.parquet', union_by_name = TRUE, filename = TRUE)
WHERE contains(filename, '/treasury/' || name || '/');

-- Conversion jobs: every step, and the newest of each as the table of jobs has it. Amounts in minor units of the source.
CREATE OR REPLACE VIEW job_step AS
SELECT said ->> '$.job_id' AS job_id, CAST(said ->> '$.sequence' AS BIGINT) AS sequence, said ->> '$.state' AS state,
    said ->> '$.decision_id' AS decision_id, CAST(said ->> '$.attempt' AS BIGINT) AS attempt,
    said ->> '$.source' AS source, said ->> '$.destination' AS destination,
    CAST(said ->> '$.amount' AS DECIMAL(38, 0)) AS amount, said ->> '$.provider' AS provider,
    said ->> '$.client_conversion_id' AS client_id, said ->> '$.provider_tx_id' AS provider_tx_id, said, recorded_at_us
FROM later('conversion_job_change');
CREATE OR REPLACE VIEW job AS
SELECT said ->> '$.job_id' AS job_id, CAST(said ->> '$.sequence' AS BIGINT) AS sequence, said ->> '$.state' AS state,
    said ->> '$.decision_id' AS decision_id, said ->> '$.source' AS source, said ->> '$.destination' AS destination,
    CAST(said ->> '$.amount' AS DECIMAL(38, 0)) AS amount,
    CAST(said ->> '$.amount' AS DECIMAL(38, 0))
        * CASE said ->> '$.source' WHEN 'system_buffer_usdc' THEN 1 ELSE 10000 END AS micros,
    said ->> '$.client_conversion_id' AS client_id, said ->> '$.provider_tx_id' AS provider_tx_id, said, recorded_at_us
FROM later('conversion_job');

-- What was asked of providers.
CREATE OR REPLACE VIEW conversion AS
SELECT client_id, counterparty AS provider, decision_id, state, stage, reserved_at_us,
    body ->> '$.job_id' AS job_id, CAST(body ->> '$.attempt' AS BIGINT) AS attempt,
    body ->> '$.source' AS source, body ->> '$.destination' AS destination,
    body ->> '$.source_currency' AS source_currency, body ->> '$.destination_currency' AS destination_currency,
    CAST(body ->> '$.amount' AS DECIMAL(38, 0)) AS amount
FROM request WHERE kind = 'conversion';

-- What was booked for conversions, and for what flowed.
CREATE OR REPLACE VIEW converted AS
SELECT t.tx_id, t.batch_id, t.template, t.source, t.source_offset, t.meta ->> '$.job_id' AS job_id,
    t.meta ->> '$.client_id' AS client_id, t.meta ->> '$.provider' AS provider,
    t.meta ->> '$.provider_tx_id' AS provider_tx_id
FROM tx t WHERE t.template IN ('CONVERSION', 'BUFFER_TRANSFER') AND t.relation IS NULL;

-- The settlement: what can be traded, as each word said it; what was refused, with its word; and what was booked of customers.
CREATE OR REPLACE VIEW instrument AS
SELECT said ->> '$.symbol' AS symbol, said ->> '$.base' AS base, CAST(said ->> '$.base_decimals' AS BIGINT) AS base_decimals,
    said ->> '$.quote' AS quote, CAST(said ->> '$.quote_decimals' AS BIGINT) AS quote_decimals, said ->> '$.fees' AS fees,
    CAST(said ->> '$.as_of' AS BIGINT) AS as_of_ms, said, recorded_at_us
FROM later('settlement_instrument');
CREATE OR REPLACE VIEW fee_schedule AS
SELECT said ->> '$.fees' AS fees, said -> '$.levels' AS levels, said, recorded_at_us FROM later('settlement_fee_schedule');
CREATE OR REPLACE VIEW unsettled AS
SELECT said ->> '$.kind' AS kind, said ->> '$.id' AS id, said ->> '$.source' AS source, CAST(said ->> '$.offset' AS BIGINT) AS "offset",
    said ->> '$.reason' AS reason, said -> '$.word' AS word, recorded_at_us
FROM later('settlement_refusal');
CREATE OR REPLACE VIEW matched AS
SELECT t.tx_id, t.batch_id, t.source, t.source_offset, t.meta ->> '$.trade' AS trade_id, t.meta ->> '$.symbol' AS symbol,
    CAST(t.meta ->> '$.sequence' AS BIGINT) AS sequence, t.meta ->> '$.hash' AS hash, t.meta ->> '$.buy_order' AS buy_order,
    t.meta ->> '$.sell_order' AS sell_order
FROM tx t WHERE t.template = 'TRADE_SETTLED' AND t.relation IS NULL;
CREATE OR REPLACE VIEW customer_tx AS
SELECT t.tx_id, t.batch_id, t.template, t.source, t.source_offset, t.meta ->> '$.name' AS name, t.meta ->> '$.user' AS customer
FROM tx t
WHERE t.relation IS NULL AND t.template IN ('ORDER_LOCKED', 'ORDER_UNLOCKED', 'CUSTOMER_DEPOSIT', 'CUSTOMER_WITHDRAWAL',
    'CUSTOMER_DEBIT', 'CUSTOMER_TRANSFER', 'CUSTOMER_CORRECTED');

-- The topics ---------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW message AS
SELECT * FROM read_parquet(getvariable('folder') || '/topics/**/*.parquet');

-- When the snapshot began, and what is in its files.
CREATE OR REPLACE VIEW moment AS
SELECT epoch_us(CAST(json_extract_string(content, '$.made_at') AS TIMESTAMPTZ)) AS at_us
FROM read_text(getvariable('folder') || '/archive.json');

CREATE OR REPLACE VIEW file AS
SELECT
    f.file ->> '$.path' AS path,
    CAST(f.file ->> '$.rows' AS BIGINT) AS rows,
    CAST(f.file ->> '$.first' AS BIGINT) AS first,
    CAST(f.file ->> '$.last' AS BIGINT) AS last,
    CAST(f.file -> '$.holes' AS BIGINT[][]) AS holes
FROM (
    SELECT unnest(CAST(json_extract(content, '$.files') AS JSON[])) AS file
    FROM read_text(getvariable('folder') || '/manifest.json')
) f;

-- How far the flows had come when the snapshot began: what came to a topic before that has been paired, booked, or put
-- aside. What came later is not yet anywhere, and no breach. A flow that says nothing has come nowhere.
CREATE OR REPLACE VIEW passed AS
SELECT min(least(gauge, as_of_us // 1000)) AS at_ms
FROM gauge WHERE name = 'watermark_ms' AND step IN ('pair', 'explain', 'book');

-- Messages that count: those that are text, and not in quarantine with these very bytes. `said` is the message as JSON.
CREATE OR REPLACE VIEW told AS
SELECT m.topic, m.partition, m."offset", m.at_ms, m.topic || '/' || m.partition AS source,
    TRY(CAST(decode(m.value) AS JSON)) AS said
FROM message m
LEFT JOIN quarantine q ON q.topic = m.topic AND q.partition = m.partition AND q."offset" = m."offset"
    AND q.raw = m.value
WHERE q.topic IS NULL AND m.value <> ''::BLOB;

-- What exchanges said of our accounts, without what a person has had forgotten since (`ballast correct`).
CREATE OR REPLACE VIEW fact AS
SELECT t.*, TRY_CAST(t.said ->> '$.sequence' AS BIGINT) AS sequence
FROM told t
LEFT JOIN (
    SELECT said ->> '$.topic' AS topic, said ->> '$.key' AS venue, max(at_ms) AS at_ms
    FROM told WHERE topic = 'facts.corrections' GROUP BY ALL
) c ON c.topic = t.topic AND c.venue = t.said ->> '$.venue'
WHERE t.topic IN ('venue.positions', 'venue.balances') AND (c.at_ms IS NULL OR t.at_ms > c.at_ms);

-- How far the books of buffers had come.
CREATE OR REPLACE VIEW passed_buffers AS
SELECT min(least(gauge, as_of_us // 1000)) AS at_ms
FROM gauge WHERE name = 'watermark_ms' AND step IN ('explain_conversions', 'book_buffers');

-- How far the settlement had come.
CREATE OR REPLACE VIEW passed_settlement AS
SELECT min(least(gauge, as_of_us // 1000)) AS at_ms
FROM gauge WHERE name = 'watermark_ms' AND step IN ('settle', 'book_settlement');

-- When the messages of a partition begin: a broker forgets, and what came before is not looked for.
CREATE OR REPLACE VIEW begun AS
SELECT topic, topic || '/' || partition AS source, min("offset") AS first, min(at_ms) AS at_ms FROM message GROUP BY ALL;

-- Words of providers that something was completed, with what was asked, and whether the amounts add up: it took what was
-- asked; what it gave and kept is what that comes to at its rate, up or down to a minor unit; and a rate that is further
-- from one than a hundredth is believed by people alone.
CREATE OR REPLACE VIEW completed AS
WITH heard AS (
    SELECT t.source, t."offset", t.at_ms, t.said ->> '$.provider' AS provider, c.provider AS asked_provider,
        t.said ->> '$.client_conversion_id' AS client_id, t.said ->> '$.provider_tx_id' AS provider_tx_id,
        CAST(t.said ->> '$.source_amount' AS DECIMAL(38, 0)) AS taken,
        CAST(t.said ->> '$.destination_amount' AS DECIMAL(38, 0)) AS given,
        CAST(t.said ->> '$.fee_amount' AS DECIMAL(38, 0)) AS kept,
        CAST(CAST(coalesce(t.said ->> '$.rate', '1') AS DECIMAL(24, 12)) * 1000000000000 AS HUGEINT) AS rate,
        CASE c.source_currency WHEN 'USD' THEN 10000 ELSE 1 END AS source_micros,
        CASE c.destination_currency WHEN 'USD' THEN 10000 ELSE 1 END AS destination_micros,
        c.job_id, c.amount, c.source AS source_buffer, c.destination AS destination_buffer, c.source_currency,
        c.destination_currency, c.reserved_at_us
    FROM told t LEFT JOIN conversion c ON c.client_id = t.said ->> '$.client_conversion_id'
    WHERE t.topic = 'provider.events' AND t.said ->> '$.state' = 'completed'
),
worth AS (
    SELECT *, CAST(taken * source_micros AS HUGEINT) * rate AS exact, CAST(destination_micros AS HUGEINT) * 1000000000000 AS unit
    FROM heard
)
SELECT *, coalesce(
    provider = asked_provider AND taken = amount
    AND given + kept BETWEEN exact // unit AND (exact + unit - 1) // unit
    AND (
        abs(rate - 1000000000000) * 100 <= 1000000000000
        OR given + kept BETWEEN taken * source_micros // destination_micros
            AND (taken * source_micros + destination_micros - 1) // destination_micros
    ), FALSE) AS adds_up
FROM worth;

-- Derived ------------------------------------------------------------------------------------------------------------------

-- What an entry moves: debits count up, credits down.
CREATE OR REPLACE VIEW moved AS
SELECT e.*, CASE e.side WHEN 1 THEN e.amount ELSE -e.amount END AS moved FROM entry e;

-- What was rejected, as JSON; nothing where that has what no reader of JSON takes, which is a reason to reject it.
CREATE OR REPLACE VIEW refused AS SELECT *, TRY(CAST(payload AS JSON)) AS said FROM reject;

-- Bookings of user trades with the legs that they name. One that was taken back, by a person or by a better pair, is
-- not live.
CREATE OR REPLACE VIEW trade AS
SELECT
    t.tx_id, t.batch_id, t.template, t.correlation_id, t.source, t.source_offset,
    t.meta -> '$.btc_leg' AS btc_leg, t.meta -> '$.usd_leg' AS usd_leg,
    t.meta ->> '$.btc_leg.id' AS btc_id, t.meta ->> '$.usd_leg.id' AS usd_id,
    r.tx_id AS taken_back_by, r.source = 'console/reversals' AS is_taken_back_by_hand
FROM tx t
LEFT JOIN tx r ON r.cause_tx_id = t.tx_id AND r.relation = 'reverses'
WHERE t.template IN ('USER_BUYS_USD', 'USER_SELLS_USD') AND t.relation IS NULL;

-- Trades in the order of their symbols: those that were settled, and those that were refused in their turn, each with the hash
-- of the one before it as its message says. What was refused for one of three reasons never had its turn.
CREATE OR REPLACE VIEW turn AS
WITH taken AS (
    SELECT m.trade_id, m.symbol, m.sequence, m.hash,
        coalesce(t.said ->> '$.previous_hash', t.said ->> '$.trade.previous_hash') AS previous_hash
    FROM matched m LEFT JOIN told t ON t.source = m.source AND t."offset" = m.source_offset
        AND coalesce(t.said ->> '$.hash', t.said ->> '$.trade.hash') = m.hash
    UNION ALL
    SELECT id, word ->> '$.symbol', CAST(word ->> '$.sequence' AS BIGINT), word ->> '$.hash', word ->> '$.previous_hash'
    FROM unsettled WHERE kind = 'trade' AND reason NOT IN ('wrong_hash', 'broken_link', 'sequence_taken')
)
SELECT trade_id, symbol, sequence, hash, max(previous_hash) AS previous_hash FROM taken GROUP BY ALL;
