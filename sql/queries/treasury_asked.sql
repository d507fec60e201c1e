-- What was asked of providers, from which buffer to which, and has it come to its end?
SELECT r.client_id, r.body ->> 'source' AS source, r.body ->> 'destination' AS destination,
    r.finished_at IS NULL OR coalesce(j.state IN ('provider_completed', 'ledger_updating')
        AND j.body ->> 'error' IS NULL, FALSE) AS is_under_way
FROM treasury.request r
LEFT JOIN treasury.conversion_job j ON j.client_id = r.client_id
WHERE r.kind = 'conversion';
