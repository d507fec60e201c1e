"""Every message of a topic that flows read, read again by its published model: what cannot be read has to be in quarantine."""

from collections.abc import Sequence

from app.reports.audit.checks import ROWS_MAX, Check, Row, rows_of
from domain.topics import BY_NAME, OF_SETTLEMENT, OF_TREASURY
from sinks.archive.parquet import Duck

_READ = """
SELECT m.topic, m.partition, m."offset", m.value FROM message m
LEFT JOIN quarantine q ON q.topic = m.topic AND q.partition = m.partition AND q."offset" = m."offset" AND q.raw = m.value
WHERE q.topic IS NULL AND m.at_ms < (SELECT at_ms FROM passed) AND NOT (m.topic = 'ledger.balances' AND m.value = ''::BLOB)
    AND (m.topic <> 'recon.statements' OR m.at_ms < (
        SELECT min(least(gauge, as_of_us // 1000)) FROM gauge WHERE name = 'watermark_ms' AND step = 'reconcile'
    ))
    AND (NOT list_contains(?, m.topic) OR m.at_ms < (SELECT at_ms FROM passed_buffers))
    AND (NOT list_contains(?, m.topic) OR m.at_ms < (SELECT at_ms FROM passed_settlement))
"""
"""A tombstone on a topic that keeps the newest word of a key says that there is none. Statements, and all that is of the
treasury or of the settlement, are read by flows of their own, which need not run."""
_OF_OTHERS = [[topic.name for topic in topics] for topics in (OF_TREASURY, OF_SETTLEMENT)]


def _ask(opened: Duck) -> tuple[int, int, Sequence[Row]]:
    checked, rows = 0, list[Row]()
    for topic, partition, offset, value in rows_of(opened, _READ, asked=_OF_OTHERS):
        known = BY_NAME.get(topic)
        if known is None or known.direction == "out":
            continue
        checked += 1
        try:
            known.model.model_validate_json(value)
        except ValueError as error:
            said = str(error).splitlines()[0]
            rows.append({"topic": topic, "partition": partition, "offset": offset, "wrong": said})
    return checked, len(rows), rows[:ROWS_MAX]


CHECK = Check(
    "I1_every_unreadable_message_is_in_quarantine",
    "a message that does not fit its model is in quarantine with its bytes, where the flows had passed it",
    "messages of topics that flows read",
    _ask,
)
