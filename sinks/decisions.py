"""Records decisions as they were taken: they depend on what had arrived by then, so they are read back, never recomputed."""

from collections.abc import Sequence
from typing import Protocol

from psycopg.types.json import Jsonb

from domain.hedging.policy import Policy
from domain.messages.decisions import Decision
from sinks.postgres import Connection, connect

_INSERT = """
INSERT INTO treasury.decision
    (id, kind, book, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats, as_of)
SELECT d.id, d.kind, d.book, d.venue, d.policy, d.policy_version, d.action, d.rule, d.reason, d.amount, d.unit, d.inputs,
    d.refused, d.repeats, to_timestamp(d.as_of / 1000)
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::numeric[], %s::text[], %s::jsonb[], %s::jsonb[], %s::int[], %s::numeric[])
    AS d (id, kind, book, venue, policy, policy_version, action, rule, reason, amount, unit, inputs, refused, repeats, as_of)
ON CONFLICT (id) DO NOTHING
"""

_POLICY = "INSERT INTO treasury.policy (version, body) VALUES (%s, %s) ON CONFLICT (version) DO NOTHING"


class Versioned(Protocol):
    """A policy: a body, and the version that is its digest."""

    @property
    def version(self) -> str:
        """The digest."""
        ...

    def model_dump_json(self) -> str:
        """Return the body."""
        ...


def keep_policies(connection: Connection, policies: Sequence[Versioned]) -> None:
    """Write policies down, each version once."""
    with connection.cursor() as cursor:
        cursor.executemany(_POLICY, [(policy.version, policy.model_dump_json()) for policy in policies])


def write_decisions(connection: Connection, decisions: Sequence[Decision]) -> None:
    """Write decisions in one statement, so that they are counted at once; the same id is written once."""
    if decisions:
        connection.execute(_INSERT, [list(column) for column in zip(*map(row, decisions), strict=True)])


class Decisions:
    """Writes decisions to `treasury.decision`, committed when it returns; the same id is written once.

    The policies that are in force go to `treasury.policy` first, so that every version that a decision names is found there.
    """

    def __init__(self, dsn: str, policies: Sequence[Policy] = ()) -> None:
        self._connection = connect(dsn, "executor", "decisions")
        keep_policies(self._connection, policies)

    def record(self, decisions: Sequence[Decision]) -> None:
        """Write decisions, all or none, and in one statement."""
        write_decisions(self._connection, decisions)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def row(decision: Decision) -> tuple[object, ...]:
    """The columns of a decision, in the order of the table."""
    fields = decision.model_dump(exclude={"schema_version", "inputs", "refused", "as_of", "repeats"})
    names = ("id", "kind", "book", "venue", "policy", "policy_version", "action", "rule", "reason", "amount", "unit")
    recorded = (Jsonb(decision.inputs), Jsonb(decision.refused), decision.repeats, decision.as_of)
    return (*(fields[name] for name in names), *recorded)
