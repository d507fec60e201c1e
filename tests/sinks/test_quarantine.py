"""The quarantine: what was refused is kept whole, once."""

from typing import Any

import pytest

from domain.errors import Rejection
from sinks.quarantine import QuarantineSink
from tests.sinks.ledger.checks import Sql

pytestmark = pytest.mark.postgres

COLUMNS = 'topic, partition, "offset", reason, detail, key, raw'


def rejection(offset: int = 7, **changes: Any) -> Rejection:
    """A message that could not be read."""
    refused = Rejection("not_utf8", "byte 0 is not UTF-8", "market.ticks", 2, offset, b"\x00k", b"\xff\x00")
    return refused._replace(**changes)


def write(dsn: str, *batches: list[Rejection]) -> None:
    """Write batches through one partition of the sink, as the engine would."""
    sink = QuarantineSink(dsn)
    assert ["quarantine-0"] == sink.list_parts()
    keeping = sink.build_part("to_quarantine", "quarantine-0", None)
    for batch in batches:
        keeping.write_batch(batch)
        keeping.snapshot()
    keeping.close()


def test_a_rejection_is_kept_with_its_bytes_and_coordinates(dsn: str, sql: Sql) -> None:
    """Bytes, key, reason and coordinates are in the table as they came."""
    write(dsn, [rejection()])
    assert [("market.ticks", 2, 7, "not_utf8", "byte 0 is not UTF-8", b"\x00k", b"\xff\x00")] == [
        tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
        for row in sql(f"SELECT {COLUMNS} FROM treasury.quarantine")  # noqa: S608 - a constant
    ]


def test_a_replay_keeps_nothing_twice(dsn: str, sql: Sql) -> None:
    """The same coordinates again change nothing, in the same batch or a later run."""
    write(dsn, [rejection(1), rejection(2), rejection(1)])
    write(dsn, [rejection(2), rejection(3)], [])
    assert [(1,), (2,), (3,)] == sql('SELECT "offset" FROM treasury.quarantine ORDER BY 1')


def test_what_is_written_is_committed(dsn: str, sql: Sql) -> None:
    """Others see a rejection before the epoch ends."""
    keeping = QuarantineSink(dsn).build_part("to_quarantine", "quarantine-0", None)
    keeping.write_batch([rejection()])
    assert [(1,)] == sql("SELECT count(*) FROM treasury.quarantine")
    keeping.close()


@pytest.mark.parametrize(
    "changes",
    [{"detail": "a\0b"}, {"key": None}, {"raw": b""}, {"raw": b"x" * 2**20}, {"detail": "ü€😀" * 100}],
)
def test_any_rejection_can_be_kept(dsn: str, sql: Sql, changes: dict[str, Any]) -> None:
    """No bytes and no text make the sink fail."""
    write(dsn, [rejection(**changes)])
    assert [(1,)] == sql("SELECT count(*) FROM treasury.quarantine")
