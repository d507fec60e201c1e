"""Keeps what people should look at where they can ask for it: alerts, and legs that will not be paired, each word once.

The digest of a message is its key, so what is told again after a restart adds nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from domain.streams.records import Outgoing
from domain.topics import ALERTS, BY_NAME, LEGS_REFUSED
from sinks.postgres import connect

_INSERTS: Mapping[str, str] = {
    ALERTS.name: """
        INSERT INTO treasury.alert (digest, as_of, id, severity, subject, text)
        SELECT n.digest, to_timestamp(n.as_of / 1000), n.id, n.severity, n.subject, n.text
        FROM unnest(%s::bytea[], %s::numeric[], %s::text[], %s::text[], %s::text[], %s::text[])
            AS n (digest, as_of, id, severity, subject, text)
        ON CONFLICT DO NOTHING
    """,
    LEGS_REFUSED.name: """
        INSERT INTO treasury.leg_refusal (digest, as_of, leg_id, reason, detail, source, source_offset)
        SELECT n.digest, to_timestamp(n.as_of / 1000), n.leg_id, n.reason, n.detail, n.source, n.source_offset
        FROM unnest(%s::bytea[], %s::numeric[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
            AS n (digest, as_of, leg_id, reason, detail, source, source_offset)
        ON CONFLICT DO NOTHING
    """,
}
_FIELDS: Mapping[str, Sequence[str]] = {
    ALERTS.name: ("id", "severity", "subject", "text"),
    LEGS_REFUSED.name: ("leg_id", "reason", "detail", "source", "source_offset"),
}


class NoticeSink(FixedPartitionedSink[Outgoing, None]):
    """Writes to `treasury.alert` and `treasury.leg_refusal`, committed before an epoch ends."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def list_parts(self) -> list[str]:
        return ["notices-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Notices":
        return _Notices(self._dsn)


class _Notices(StatefulSinkPartition[Outgoing, None]):
    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "executor", "notices")

    def write_batch(self, values: list[Outgoing]) -> None:
        for topic, insert in _INSERTS.items():
            rows = [tuple(_row(topic, one.value)) for one in values if one.topic == topic]
            if rows:
                self._connection.execute(insert.encode(), [list(column) for column in zip(*rows, strict=True)])

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._connection.close()


def _row(topic: str, value: bytes) -> Iterator[Any]:
    message = BY_NAME[topic].model.model_validate_json(value)
    yield sha256(value).digest()
    yield getattr(message, "as_of")  # noqa: B009 - of any of them
    for name in _FIELDS[topic]:
        field = getattr(message, name)
        yield field.replace("\0", "�") if isinstance(field, str) else field
