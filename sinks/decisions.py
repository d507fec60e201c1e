"""Records decisions as they were taken: they depend on what had arrived by then, so they are read back, never recomputed."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from domain.messages import Decision
from sinks.connecting import connect

_INSERT = """
INSERT INTO treasury.decision
    (id, kind, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats, as_of)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, to_timestamp(%s::numeric / 1000))
ON CONFLICT (id) DO NOTHING
"""


class Decisions:
    """Writes decisions to `treasury.decision`, committed when it returns; the same id is written once."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "executor", "decisions")

    def record(self, decisions: Sequence[Decision]) -> None:
        """Write decisions, all or none."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, [row(decision) for decision in decisions])

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def row(decision: Decision) -> tuple[object, ...]:
    """The columns of a decision, in the order of the table."""
    fields = decision.model_dump(exclude={"schema_version", "inputs", "refused", "as_of", "repeats"})
    names = ("id", "kind", "venue", "policy", "policy_version", "action", "rule", "reason", "amount", "unit")
    recorded = (Jsonb(decision.inputs), Jsonb(decision.refused), decision.repeats, decision.as_of)
    return (*(fields[name] for name in names), *recorded)
