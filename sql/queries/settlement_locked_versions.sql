-- How many entries has what a customer has locked, by asset?
--   customer   who
SELECT b.currency AS asset, b.version
FROM ledger.account a JOIN ledger.balance b USING (account_id)
WHERE a.code = 'CUSTOMER_LOCKED/' || %(customer)s::text
ORDER BY b.currency;
