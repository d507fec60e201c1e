-- I7: never two requests open at once in a slot, such as two orders at one venue, by the changes in the order of their
-- commits.
-- A row is a request that was reserved while another one of its slot had not ended.
-- By hand: as the head of views.sql shows.
WITH life AS (
    SELECT r.slot, r.kind, r.client_id, min(c.change_id) AS opened, min(c.changed_at_us) AS opened_at_us,
        coalesce(min(c.change_id) FILTER (WHERE c.stage IN ('ended', 'never_arrived')), 9223372036854775807) AS ended
    FROM request r JOIN request_change c ON c.kind = r.kind AND c.client_id = r.client_id
    WHERE r.slot IS NOT NULL
    GROUP BY r.slot, r.kind, r.client_id
)
SELECT l.kind, l.client_id, l.slot, o.client_id AS open_then, l.opened_at_us
FROM life l JOIN life o ON o.slot = l.slot AND o.client_id <> l.client_id AND o.opened < l.opened AND o.ended > l.opened
ORDER BY l.slot, l.opened;
-- figures: requests that take a slot
SELECT count(*) FROM request WHERE slot IS NOT NULL;
