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
