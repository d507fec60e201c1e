-- What is held, what is left of it, and until when?
--   account   only holds on this account; NULL for all
SELECT h.tx_id, h.template, h.account, h.currency, h.layer, h.side, h.held, h.left_over, h.effective_at, h.expires_at
FROM ledger.open_holds h
WHERE %(account)s::TEXT IS NULL OR h.account = %(account)s
ORDER BY h.expires_at NULLS LAST, h.tx_id, h.account, h.currency, h.layer, h.side;
