-- How many entries has each of the three accounts of a customer, of an asset?
--   customer   who
--   asset      of what
SELECT k.kind AS account, b.version
FROM (VALUES ('available', 'CUSTOMER/'), ('locked', 'CUSTOMER_LOCKED/'), ('debt', 'CUSTOMER_DEBT/')) AS k (kind, prefix)
JOIN ledger.account a ON a.code = k.prefix || %(customer)s::text
JOIN ledger.balance b ON b.account_id = a.account_id AND b.currency = %(asset)s::text
ORDER BY k.kind;
