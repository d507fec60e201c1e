-- How do the buffers stand, the worst first, and when do they fall under their minimum? Amounts in minor units; as_of in epoch ms.
SELECT s.buffer, s.currency, s.status, s.posted, s.in_flight, s.reserved, s.available, s.position, s.min, s.target, s.max,
    s.amount_to_target, s.excess, s.control, f.falls_below_min_at, f.falls_earliest_at, f.falls_latest_at,
    treasury.ms_of(s.as_of) AS as_of
FROM treasury.v_buffer_status s
JOIN treasury.v_buffer_forecast f USING (buffer);
