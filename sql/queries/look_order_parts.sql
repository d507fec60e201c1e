-- Which trades took a part of what this order had locked?
--   account   where its customer's locks are
--   id        the id of the order
SELECT DISTINCT t.tx_id
FROM ledger.account a
JOIN ledger.entry e USING (account_id)
JOIN ledger.tx t USING (tx_id)
WHERE a.code = %(account)s::TEXT AND t.template = 'TRADE_SETTLED' AND %(id)s::TEXT IN (t.meta ->> 'buy_order', t.meta ->> 'sell_order')
ORDER BY t.tx_id;
