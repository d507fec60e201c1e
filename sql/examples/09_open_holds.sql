-- What is held, how much of it is left, and when does it expire?
SELECT account, side, currency, held, left_over, effective_at, expires_at
FROM ledger.open_holds
ORDER BY expires_at, account;
