-- What the notebooks ask of besides `sql/audit/views.sql`. The placeholders are filled in by opening.py.

-- The time that is shown, in microseconds, and as text: between the first and the last bar that a demo played it is stretched,
-- before and after that it goes at its own pace. `part` is which of four hundred parts of the time it is in: a line has no more
-- points than people can tell apart.
CREATE OR REPLACE MACRO shown(at_us) AS CASE
    WHEN at_us < {began} THEN {first} - {began} + at_us
    WHEN at_us > {began} + {lasted} THEN {first} + {long} - {began} - {lasted} + at_us
    ELSE CAST({first} + (CAST(at_us AS HUGEINT) - {began}) * {long} // {lasted} AS BIGINT)
END;
CREATE OR REPLACE MACRO shown_text(at_us) AS strftime(make_timestamp(shown(at_us)), '%Y-%m-%d %H:%M:%S');
CREATE OR REPLACE MACRO part(at_us) AS CAST((CAST(shown(at_us) AS HUGEINT) - shown({since})) * 400 // greatest(1, shown({until}) - shown({since})) AS BIGINT);

-- Prices as they were told, in dollars and in units of 10^-8 of one. `price` is without those that nobody believes: more
-- than a tenth off what was usual among ten others around it.
CREATE OR REPLACE TABLE tick AS
SELECT at_ms * 1000 AS at_us, source, "offset", CAST(said ->> '$.price_usd' AS DECIMAL(28, 8)) AS price_usd,
    CAST(price_usd * 100000000 AS HUGEINT) AS price_e8
FROM told WHERE topic = 'market.ticks' ORDER BY at_us, source, "offset";

CREATE OR REPLACE TABLE price AS
SELECT at_us, price_usd, price_e8 FROM (
    SELECT *, quantile_disc(price_e8, 0.5) OVER (
        ORDER BY at_us, source, "offset" ROWS BETWEEN 5 PRECEDING AND 5 FOLLOWING
    ) AS usual_e8 FROM tick
) WHERE price_e8 BETWEEN usual_e8 * 9 // 10 AND usual_e8 * 11 // 10;

-- What is owed, and the short that stands against it, in cents after each batch.
CREATE OR REPLACE TABLE hedge AS
SELECT row_number() OVER () AS n, at_us, CAST(liability_cents AS HUGEINT) AS owed_cents,
    CAST(short_cents AS HUGEINT) AS short_cents
FROM ({liability_and_short});

-- What exchanges said of our accounts; cash that moved there; what was executed, in cents sold, negative if bought.
CREATE OR REPLACE VIEW collateral AS
SELECT at_ms * 1000 AS at_us, said ->> '$.venue' AS venue, sequence,
    CAST(said ->> '$.trading_equity_sats' AS HUGEINT) AS trading_sats, CAST(said ->> '$.funding_sats' AS HUGEINT) AS funding_sats,
    CAST(CAST(said ->> '$.mark_price_usd' AS DECIMAL(28, 8)) * 100000000 AS HUGEINT) AS mark_e8
FROM fact WHERE topic = 'venue.balances';

CREATE OR REPLACE VIEW exposure AS
SELECT at_ms * 1000 AS at_us, said ->> '$.venue' AS venue, sequence, CAST(said ->> '$.exposure_cents' AS HUGEINT) AS exposure_cents
FROM fact WHERE topic = 'venue.positions';

CREATE OR REPLACE VIEW cash AS
SELECT DISTINCT said ->> '$.venue' AS venue, said ->> '$.id' AS id, said ->> '$.kind' AS kind,
    CAST(said ->> '$.as_of' AS BIGINT) * 1000 AS at_us, CAST(said ->> '$.amount_sats' AS HUGEINT) AS amount_sats,
    CAST(said ->> '$.sequence' AS BIGINT) AS sequence
FROM told WHERE topic = 'venue.cashflows';

CREATE OR REPLACE VIEW fill AS
SELECT t.effective_at_us AS at_us, t.meta ->> '$.venue' AS venue, t.meta ->> '$.client_order_id' AS client_order_id,
    CAST(t.meta ->> '$.sequence' AS BIGINT) AS sequence,
    CAST(CASE t.template WHEN 'FILL_SOLD' THEN e.amount ELSE -e.amount END AS HUGEINT) AS sold_cents,
    CAST(CAST(t.meta ->> '$.price_usd' AS DECIMAL(28, 8)) * 100000000 AS HUGEINT) AS price_e8
FROM tx t JOIN entry e ON e.tx_id = t.tx_id AND e.leg = 1
WHERE t.template IN ('FILL_SOLD', 'FILL_BOUGHT') AND t.relation IS NULL;

-- What users' trades brought in: satoshis, and cents that are owed for them; what was taken back counts against it. They are of
-- the time at which they were told, if a topic has that: wallets tell no more than the second in which they happened.
CREATE OR REPLACE VIEW users AS
SELECT coalesce(any_value(w.at_ms) * 1000, t.effective_at_us) AS at_us, t.tx_id,
    CAST(coalesce(sum(m.moved) FILTER (WHERE a.code = 'EXTERNAL_OMNIBUS'), 0) AS HUGEINT) AS sats,
    CAST(coalesce(sum(m.moved) FILTER (WHERE coalesce(p.code, a.code) = 'STABLESATS_OMNIBUS'), 0) AS HUGEINT) AS cents
FROM tx t JOIN moved m USING (tx_id) JOIN account a ON a.account_id = m.account_id
LEFT JOIN account p ON p.account_id = a.parent_id
LEFT JOIN message w ON w.topic || '/' || w.partition = t.source AND w."offset" = t.source_offset
WHERE m.layer = 1 AND coalesce(p.code, a.code) IN ('EXTERNAL_OMNIBUS', 'STABLESATS_OMNIBUS')
GROUP BY t.tx_id, t.effective_at_us;

-- What cents are worth in millionths of a satoshi, at a price; whole numbers, nothing passes through a float.
CREATE OR REPLACE MACRO worth(cents, price_e8) AS
    sign(cents) * (abs(CAST(cents AS HUGEINT)) * 100000000000000000000 // CAST(price_e8 AS HUGEINT));
