"""Records decisions as they were taken: they depend on what had arrived by then, so they are read back, never recomputed."""

import psycopg
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from psycopg.types.json import Jsonb

from domain.messages import Decision

_INSERT = """
INSERT INTO treasury.decision
    (id, kind, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats, as_of)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, to_timestamp(%s::numeric / 1000))
ON CONFLICT (id) DO NOTHING
"""


class DecisionSink(FixedPartitionedSink[Decision, None]):
    """Writes decisions to `treasury.decision`; the same id is written once."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def list_parts(self) -> list[str]:
        return ["decisions-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Decisions":
        return _Decisions(self._dsn)


class _Decisions(StatefulSinkPartition[Decision, None]):
    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)

    def write_batch(self, values: list[Decision]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, [row(decision) for decision in values])

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._connection.close()


def row(decision: Decision) -> tuple[object, ...]:
    """The columns of a decision, in the order of the table."""
    fields = decision.model_dump(exclude={"schema_version", "inputs", "refused", "as_of", "repeats"})
    names = ("id", "kind", "venue", "policy", "policy_version", "action", "rule", "reason", "amount", "unit")
    recorded = (Jsonb(decision.inputs), Jsonb(decision.refused), decision.repeats, decision.as_of)
    return (*(fields[name] for name in names), *recorded)
