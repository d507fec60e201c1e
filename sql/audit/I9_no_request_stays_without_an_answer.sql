-- I9: no order or transfer that was sent is without an answer for an hour: by then it has been asked about, or a person
-- has to look.
-- A row is such a request, with its state and since when it has been in it.
-- By hand: as the head of views.sql shows.
WITH silent AS (
    SELECT r.kind, r.client_id, r.counterparty, r.state, coalesce(r.sent_at_us, r.reserved_at_us) AS since_us
    FROM request r WHERE r.stage IN ('sent', 'unknown')
)
SELECT s.* FROM silent s, moment m WHERE m.at_us - s.since_us > 3600000000 ORDER BY s.since_us, s.client_id;
-- figures: requests
SELECT count(*) FROM request;
