"""Keeps what was refused, with its bytes, reason and coordinates, until somebody has looked at it.

The coordinates are the key, so a replay writes nothing twice.
"""

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from domain.errors import Rejection
from sinks.postgres import connect

_INSERT = """
INSERT INTO treasury.quarantine (topic, partition, "offset", reason, detail, key, raw)
SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::bytea[])
ON CONFLICT DO NOTHING
"""


class QuarantineSink(FixedPartitionedSink[Rejection, None]):
    """Writes rejections to `treasury.quarantine`, committed before an epoch ends."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def list_parts(self) -> list[str]:
        return ["quarantine-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Quarantine":
        return _Quarantine(self._dsn)


class _Quarantine(StatefulSinkPartition[Rejection, None]):
    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "executor", "quarantine")

    def write_batch(self, values: list[Rejection]) -> None:
        rows = [(r.topic, r.partition, r.offset, r.reason, r.detail.replace("\0", "�"), r.key, r.raw) for r in values]
        if rows:
            # One statement, so that they are counted at once.
            self._connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._connection.close()
