-- What was booked of conversions in these accounts, by provider, our id and the provider's name? Positive is into the account.
--   accounts   their codes
SELECT t.meta ->> 'provider' AS provider, t.meta ->> 'client_id' AS client_id, t.meta ->> 'provider_tx_id' AS provider_tx_id,
    a.code AS account, e.amount * e.side AS amount
FROM ledger.tx t
JOIN ledger.entry e USING (tx_id)
JOIN ledger.account a USING (account_id)
WHERE t.template IN ('CONVERSION', 'BUFFER_TRANSFER') AND a.code = ANY (%(accounts)s)
    AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.cause_tx_id = t.tx_id AND r.relation = 'reversed')
ORDER BY t.batch_id, t.position, e.leg;
