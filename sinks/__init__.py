"""The only writers: ledger, decisions, outbox, quarantine, Kafka. Each commits before an epoch ends."""
