"""When accounts are compared: as soon as a statement comes, and all of them at every full period.

What was missed while nothing ran is made up for once, and not once for every period.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from domain.messages.recon import Statement
from domain.streams.records import Record, Snapshot


class Due(NamedTuple):
    """What is to be done at a time: to keep statements and compare their accounts, or, without any, to compare all."""

    at_ms: int
    statements: tuple[Statement, ...] = ()

    @property
    def cause(self) -> str:
        """What tells one occasion from another of the same time."""
        return " ".join(sorted(told.statement_id for told in self.statements)) or "period"


class Schedule:
    """A machine; `begins_ms` is when this run began."""

    version = 1

    def __init__(self, every_ms: int, begins_ms: int, snapshot: Snapshot | None = None) -> None:
        self._every_ms = every_ms
        present_ms = begins_ms // every_ms * every_ms
        self._next_ms = present_ms if snapshot is None else max(snapshot[0], present_ms)

    def apply(self, at_ms: int, records: Sequence[Record[Statement]]) -> Iterator[Due]:
        """Compare what statements came for."""
        yield Due(at_ms, tuple(record.value for record in records))

    def wake_at_ms(self) -> int:
        """Return when all accounts are compared next."""
        return self._next_ms

    def wake(self, at_ms: int) -> Iterator[Due]:
        """Compare all accounts."""
        self._next_ms = at_ms + self._every_ms
        yield Due(at_ms)

    def gauges(self) -> Mapping[str, int]:
        """Nothing waits in it."""
        return {}

    def snapshot(self) -> Snapshot:
        """When it is due next."""
        return (self._next_ms,)
