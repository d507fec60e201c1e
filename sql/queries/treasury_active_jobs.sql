-- Which conversion jobs have not ended, the oldest first? Amounts in minor units of their sources. Few are open, and of those that were
-- said to have ended only the last day's are looked at, so this takes no time; treasury.v_active_conversion_jobs looks at all.
SELECT v.job_id, v.state, v.provider, v.source, v.destination, v.source_currency AS currency, v.amount, v.attempt,
    v.awaits_approval, v.asked_by, v.created_at, v.submitted_at, v.eta_at, v.due_at, v.error, v.reason
FROM treasury.v_conversion_jobs v
WHERE (v.told_state NOT IN ('completed', 'failed', 'cancelled') OR v.as_of > now() - INTERVAL '1 day')
    AND v.state NOT IN ('completed', 'failed', 'cancelled')
ORDER BY v.created_at, v.job_id;
