-- T3: every conversion that its provider has completed, with amounts that add up, and that the flow had passed, is booked
-- once by our id and the provider's name for it, or rejected.
-- A row is such a conversion with how often it is booked. A word that comes ninety days after its request is for people.
-- By hand: as the head of views.sql shows.
WITH done AS (
    SELECT provider, client_id, provider_tx_id, job_id, min(at_ms) AS at_ms FROM completed
    WHERE adds_up AND at_ms < (SELECT at_ms FROM passed_buffers) AND at_ms - reserved_at_us // 1000 < 7776000000
    GROUP BY ALL
),
booked AS (SELECT provider, client_id, provider_tx_id, count(*) AS n FROM converted GROUP BY ALL),
aside AS (
    SELECT w.provider, w.client_id, w.provider_tx_id FROM completed w
    JOIN (
        SELECT source, source_offset FROM reject UNION SELECT source, source_offset FROM conflict
    ) r ON r.source = w.source AND r.source_offset = w."offset"
)
SELECT d.provider, d.client_id, d.provider_tx_id, d.job_id, coalesce(b.n, 0) AS booked
FROM done d LEFT JOIN booked b USING (provider, client_id, provider_tx_id)
WHERE b.n IS NULL AND NOT EXISTS (
    SELECT 1 FROM aside a
    WHERE (a.provider, a.client_id, a.provider_tx_id) = (d.provider, d.client_id, d.provider_tx_id)
)
UNION ALL
SELECT provider, client_id, provider_tx_id, NULL, n FROM booked WHERE n > 1
ORDER BY 1, 2, 3;
-- figures: completed conversions
SELECT count(*) FROM completed WHERE adds_up AND at_ms < (SELECT at_ms FROM passed_buffers);
