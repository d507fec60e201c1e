-- What was asked of the outside, by whom it was decided, and what became of it? An order or a transfer.
--   id   our own id of it
SELECT
    r.client_id, r.kind, r.counterparty, r.state, r.filled, r.reason, r.decision_id, r.reserved_at, r.sent_at, r.finished_at,
    r.body
FROM treasury.request r
WHERE r.client_id = %(id)s::text;
