-- depends: 0007_treasury

-- Who may do what with the records of the treasury. Of a request the executor changes what became of it, never what was
-- asked for.

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA treasury FROM PUBLIC;

GRANT USAGE ON SCHEMA treasury TO ballast_writer, ballast_executor, ballast_api, ballast_reader;
-- Whoever starts looks whether a kind of request is missing.
GRANT SELECT ON treasury.request_state TO ballast_writer, ballast_api;
GRANT SELECT ON ALL TABLES IN SCHEMA treasury TO ballast_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA treasury GRANT SELECT ON TABLES TO ballast_reader;

GRANT SELECT ON treasury.policy, treasury.decision, treasury.request_state, treasury.request, treasury.request_change
    TO ballast_executor;
GRANT INSERT (version, body) ON treasury.policy TO ballast_executor;
GRANT INSERT (id, kind, book, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats, as_of)
    ON treasury.decision TO ballast_executor;
GRANT
    INSERT (kind, client_id, counterparty, body, slot, state, stage, reserved_at),
    UPDATE (state, stage, filled, sequence, reason, sent_at, finished_at)
    ON treasury.request TO ballast_executor;
GRANT INSERT (kind, client_id, decision_id, counterparty, state, filled, sequence, reason, changed_at)
    ON treasury.request_change TO ballast_executor;
GRANT INSERT (topic, partition, "offset", reason, detail, key, raw) ON treasury.quarantine TO ballast_executor;
GRANT INSERT (digest, id, severity, subject, "text", as_of) ON treasury.alert TO ballast_executor;
GRANT INSERT (digest, leg_id, reason, detail, source, source_offset, as_of) ON treasury.leg_refusal TO ballast_executor;
