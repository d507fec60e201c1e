-- I1: a fill of an order that we asked for has left suspense for the position.
-- A row is a fill that has not. Those of the last minute may wait for a word on their order.
-- By hand: as the head of views.sql shows.
SELECT f.tx_id, f.meta ->> '$.venue' AS venue, f.meta ->> '$.event_id' AS event_id, r.client_id
FROM tx f JOIN request r ON r.kind = 'order' AND r.client_id = f.meta ->> '$.client_order_id'
JOIN batch b USING (batch_id)
WHERE f.template IN ('FILL_BOUGHT', 'FILL_SOLD') AND b.recorded_at_us < (SELECT at_us - 60000000 FROM moment)
    AND (f.meta ->> '$.venue', f.meta ->> '$.event_id') NOT IN (
        SELECT (meta ->> '$.venue', meta ->> '$.event_id') FROM tx
        WHERE template IN ('INCREASE_EXCHANGE_POSITION', 'DECREASE_EXCHANGE_POSITION')
            AND meta ->> '$.event_id' IS NOT NULL
    )
ORDER BY f.tx_id;
-- figures: fills of orders of ours
SELECT count(*) FROM tx f JOIN request r ON r.kind = 'order' AND r.client_id = f.meta ->> '$.client_order_id'
WHERE f.template IN ('FILL_BOUGHT', 'FILL_SOLD');
