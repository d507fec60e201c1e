-- T2: a provider is asked for a job again only when nothing came of what was asked before, as the outbox or that provider
-- said; and each attempt is asked for once, one after the other.
-- A row is a request with the one before it, and how that had ended by then.
-- By hand: as the head of views.sql shows.
WITH ended AS (
    SELECT client_id, min(changed_at_us) AS at_us FROM request_change
    WHERE kind = 'conversion' AND state IN ('failed', 'cancelled', 'not_sent') GROUP BY client_id
    UNION ALL
    SELECT said ->> '$.client_conversion_id', at_ms * 1000 FROM told
    WHERE topic = 'provider.events' AND said ->> '$.state' IN ('failed', 'cancelled')
    UNION ALL
    SELECT said ->> '$.client_conversion_id', at_ms * 1000 FROM told
    WHERE topic = 'provider.reports' AND said ->> '$.state' = 'refused'
),
first_end AS (SELECT client_id, min(at_us) AS at_us FROM ended GROUP BY client_id),
earlier AS (
    SELECT c.job_id, c.client_id, c.attempt, c.reserved_at_us, b.client_id AS before_id, e.at_us AS ended_at_us
    FROM conversion c JOIN conversion b ON b.job_id = c.job_id AND b.attempt < c.attempt
    LEFT JOIN first_end e ON e.client_id = b.client_id
)
SELECT job_id, client_id, attempt, before_id, 'it had not ended' AS wrong, ended_at_us, reserved_at_us FROM earlier
WHERE ended_at_us IS NULL OR ended_at_us > reserved_at_us
UNION ALL
SELECT job_id, max(client_id), attempt, min(client_id), 'asked for twice', NULL, max(reserved_at_us) FROM conversion
GROUP BY job_id, attempt HAVING count(*) > 1
ORDER BY 1, 3, 4;
-- figures: requests to providers
SELECT count(*) FROM conversion;
