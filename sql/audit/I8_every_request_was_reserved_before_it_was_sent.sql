-- I8: what was sent had been written down before, and what ended had been sent, unless it never arrived.
-- A row is a request with the times of its changes that are in no such order.
-- By hand: as the head of views.sql shows.
WITH life AS (
    SELECT kind, client_id, min(change_id) FILTER (WHERE state = 'reserved') AS reserved,
        min(change_id) FILTER (WHERE state <> 'reserved') AS left, min(change_id) FILTER (WHERE state = 'sent') AS sent
    FROM request_change GROUP BY kind, client_id
)
SELECT r.kind, r.client_id, r.reserved_at_us, r.sent_at_us, r.finished_at_us, l.reserved AS reserved_change,
    l.sent AS sent_change
FROM request r LEFT JOIN life l USING (kind, client_id)
WHERE r.sent_at_us < r.reserved_at_us OR r.finished_at_us < r.reserved_at_us OR l.left < l.reserved
    OR l.reserved IS NULL
    OR (r.sent_at_us IS NOT NULL AND l.sent IS NULL) OR (r.stage IN ('sent', 'under_way') AND r.sent_at_us IS NULL)
ORDER BY r.kind, r.client_id;
-- figures: requests
SELECT count(*) FROM request;
