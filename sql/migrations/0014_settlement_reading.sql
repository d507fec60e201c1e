-- depends: 0013_settlement

-- What is read of the settlement all the time is counted while it is written, and a settled trade is shown with both sides.

ALTER TABLE treasury.tally DROP CONSTRAINT tally_subject_check;
ALTER TABLE treasury.tally ADD CONSTRAINT tally_subject_check
    CHECK (subject IN ('decision', 'hold', 'quarantine', 'request', 'job', 'trade', 'refusal'));
COMMENT ON TABLE treasury.tally IS
    'How many decisions there are by kind, holds by kind/rule, messages in quarantine by topic, requests by kind/state, jobs by '
    'state, settled trades by symbol, refused words of the settlement by kind/symbol/reason.';

-- A batch is of one shard: those of others cost one look.
CREATE FUNCTION settlement.trades_grow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    IF 8 <> (SELECT b.shard FROM ledger.batch b WHERE b.batch_id = (SELECT n.batch_id FROM new_rows n LIMIT 1)) THEN
        RETURN NULL;
    END IF;
    INSERT INTO treasury.tally AS t (subject, label, n)
    SELECT 'trade', n.meta ->> 'symbol', count(*)
    FROM new_rows n
    WHERE n.template = 'TRADE_SETTLED'
    GROUP BY 2 ORDER BY 2
    ON CONFLICT (subject, label) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;

CREATE FUNCTION settlement.refusals_grow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO treasury.tally AS t (subject, label, n)
    SELECT 'refusal', concat_ws('/', r.kind, coalesce(r.symbol, ''), r.reason), count(*)
    FROM new_rows r
    GROUP BY 2 ORDER BY 2
    ON CONFLICT (subject, label) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION settlement.trades_grow(), settlement.refusals_grow() FROM PUBLIC;

CREATE TRIGGER trades_grow AFTER INSERT ON ledger.tx REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION settlement.trades_grow();
CREATE TRIGGER refusals_grow AFTER INSERT ON settlement.refusal REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION settlement.refusals_grow();

-- What was there before is counted once.
INSERT INTO treasury.tally (subject, label, n)
SELECT 'trade', t.meta ->> 'symbol', count(*) FROM ledger.tx t WHERE t.template = 'TRADE_SETTLED' GROUP BY 2
UNION ALL
SELECT 'refusal', concat_ws('/', r.kind, coalesce(r.symbol, ''), r.reason), count(*) FROM settlement.refusal r GROUP BY 2;


-- What each account came to stands in its entry. A buyer pays out of what is locked and gets back what was better than the limit,
-- a seller gives out of what is locked; the rest goes to what is available.
CREATE VIEW settlement.v_settled_trades AS
SELECT v.*, s.*
FROM settlement.v_trades v
CROSS JOIN LATERAL (
    SELECT min(e.base) AS base, min(e.quote) AS quote,
        min(e.amount) FILTER (WHERE e.is_base AND e.code = 'CUSTOMER_LOCKED/' || v.seller) AS quantity,
        min(e.amount) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER_LOCKED/' || v.buyer) AS buyer_locked,
        coalesce(min(e.amount) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER/' || v.buyer), 0) AS buyer_refund,
        coalesce(min(e.amount) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER/' || v.seller), 0) AS seller_proceeds,
        -min(e.balance_after) FILTER (WHERE e.is_base AND e.code = 'CUSTOMER/' || v.buyer) AS buyer_base_after,
        min(e.version) FILTER (WHERE e.is_base AND e.code = 'CUSTOMER/' || v.buyer) AS buyer_base_version,
        -min(e.balance_after) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER_LOCKED/' || v.buyer) AS buyer_quote_after,
        min(e.version) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER_LOCKED/' || v.buyer) AS buyer_quote_version,
        -min(e.balance_after) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER/' || v.buyer) AS buyer_refunded_after,
        min(e.version) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER/' || v.buyer) AS buyer_refunded_version,
        -min(e.balance_after) FILTER (WHERE e.is_base AND e.code = 'CUSTOMER_LOCKED/' || v.seller) AS seller_base_after,
        min(e.version) FILTER (WHERE e.is_base AND e.code = 'CUSTOMER_LOCKED/' || v.seller) AS seller_base_version,
        -min(e.balance_after) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER/' || v.seller) AS seller_quote_after,
        min(e.version) FILTER (WHERE NOT e.is_base AND e.code = 'CUSTOMER/' || v.seller) AS seller_quote_version
    FROM (
        SELECT n.*, n.currency = n.base AS is_base
        FROM (
            SELECT a.code, m.currency, m.amount, m.balance_after, m.version,
                min(m.currency) FILTER (WHERE a.code = 'CUSTOMER_LOCKED/' || v.seller) OVER () AS base,
                min(m.currency) FILTER (WHERE a.code = 'CUSTOMER_LOCKED/' || v.buyer) OVER () AS quote
            FROM ledger.entry m JOIN ledger.account a USING (account_id)
            WHERE m.tx_id = v.tx_id
        ) n
    ) e
) s;
COMMENT ON VIEW settlement.v_settled_trades IS
    'Settled trades with both sides, in smallest units: what was moved, and what each account that it moved has had after it, with its '
    'version. A buyer''s quote and a seller''s base are of what is locked, the others of what is available.';
GRANT SELECT ON settlement.v_settled_trades TO ballast_executor, ballast_api, ballast_reader;

DO $$
BEGIN
    ALTER VIEW settlement.v_settled_trades OWNER TO ballast_migrator;
    ALTER FUNCTION settlement.trades_grow() OWNER TO ballast_migrator;
    ALTER FUNCTION settlement.refusals_grow() OWNER TO ballast_migrator;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'functions stay with %: it is no member of ballast_migrator', current_user;
END $$;
