"""Keeps what the steps of a flow say of themselves: the newest value of each, in `treasury.gauge` before an epoch ends."""

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from domain.streams.gauges import Gauge
from sinks.postgres import connect

# In the order of the key, so that two who write never wait for each other in a circle.
_UPSERT = """
INSERT INTO treasury.gauge (step, shard, name, value, as_of)
SELECT g.step, g.shard, g.name, g.value, clock_timestamp()
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) AS g (step, shard, name, value)
ORDER BY g.step, g.shard, g.name
ON CONFLICT (step, shard, name) DO UPDATE SET value = excluded.value, as_of = excluded.as_of
"""


class GaugeSink(FixedPartitionedSink[Gauge, None]):
    """Writes what was said since the last epoch; a step that falls silent leaves its last word, and its time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def list_parts(self) -> list[str]:
        return ["gauges-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Gauges":
        return _Gauges(self._dsn)


class _Gauges(StatefulSinkPartition[Gauge, None]):
    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "executor", "gauges")
        self._newest: dict[tuple[str, str, str], Gauge] = {}

    def write_batch(self, values: list[Gauge]) -> None:
        self._newest.update((gauge[:3], gauge) for gauge in values)

    def snapshot(self) -> None:
        if self._newest:
            self._connection.execute(_UPSERT, [list(column) for column in zip(*self._newest.values(), strict=True)])
            self._newest.clear()

    def close(self) -> None:
        self._connection.close()
