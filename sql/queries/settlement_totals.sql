-- How many customers have accounts, how many orders were locked, how many trades settled, and how many words were refused?
SELECT
    (SELECT count(*) FROM ledger.account a WHERE a.shard = 8 AND starts_with(a.code, 'CUSTOMER/')) AS customers,
    (SELECT coalesce(sum(t.n), 0) FROM ledger.tally t WHERE t.template = 'ORDER_LOCKED' AND t.outcome = 'posted') AS orders,
    (SELECT coalesce(sum(t.n), 0) FROM ledger.tally t WHERE t.template = 'TRADE_SETTLED' AND t.outcome = 'posted') AS settled,
    (SELECT count(*) FROM settlement.refusal f WHERE f.kind = 'trade') AS refused,
    (SELECT count(*) FROM settlement.refusal f WHERE f.kind <> 'trade') AS refused_otherwise;
