"""The reconciling flow: what it tells depends on statements, books and time, and not on how the stream is cut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main

from app.replay.replay import memory_edges
from connectors.recorded import RecordedSource
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.messages.recon import ReconException, ReconReport, Statement
from domain.reconciling.breaks import Evidence
from domain.reconciling.items import Entry, Scope
from domain.reconciling.records import How, MemoryRecords
from domain.reconciling.rules import Rules
from domain.streams.records import Outgoing
from domain.topics import BY_NAME, RECON_STATEMENTS, Topic
from flows import reconciling
from tests.domain.reconciling.test_breaks import DAY, SINCE, statement
from tests.flows.runs import tape
from tests.words import START_MS

EVERY_MS = 3_600_000
CAME_MS = 40 * DAY
"""After the start of all tapes: the statements are of days that are long over."""

KEY = (RECON_STATEMENTS.name, 0)
DAYS = [
    statement((0, 500), since=SINCE + n * DAY, until=SINCE + (n + 1) * DAY, opening=500 * n, id_=f"s{n}") for n in range(3)
]


def books(scope: Scope, since_ms: int, until_ms: int) -> Evidence:
    """Books in which the first and the third day have what the statement has, and the second nothing."""
    entries = [Entry("e0", SINCE, 500, scope.account), Entry("e2", SINCE + 2 * DAY, 500, scope.account)]
    return Evidence((), entries, sum(entry.amount for entry in entries if entry.at_ms < until_ms))


class Run(NamedTuple):
    """What was told and kept."""

    told: list[Outgoing]
    records: MemoryRecords

    def messages(self, kind: type[Any]) -> list[Any]:
        """What was told of a kind, read back."""
        return [kind.model_validate_json(one.value) for one in self.told if BY_NAME[one.topic].model is kind]


def run(
    said: Sequence[tuple[int, Message | bytes]],
    *,
    records: MemoryRecords | None = None,
    batch_size: int = 100,
    begins_ms: int = START_MS + CAME_MS,
    crash_at: int | None = None,
    recovery: Path | None = None,
    verified: Sequence[Message] = (),
) -> Run:
    """Run the flow over a tape of statements, and what is said of customers' balances beside it."""
    found = Run([], records or MemoryRecords(books))
    recorded = {KEY: tape(said)}
    edges = memory_edges(recorded, found.told, batch_size)

    def source(_topics: Sequence[Topic[Any]], _at_most: int | None) -> RecordedSource:
        return RecordedSource(recorded, batch_size, crash_at)

    own = reconciling.Setup(
        EVERY_MS, begins_ms, How(lambda _: Rules(), 40 * DAY), lambda: found.records, TestingSource(verified)
    )
    config = None if recovery is None else RecoveryConfig(str(recovery))
    run_main(reconciling.flow(replace(edges, source=source), own), epoch_interval=timedelta(0), recovery_config=config)
    return found


SAID: list[tuple[int, Message | bytes]] = [(CAME_MS + n * EVERY_MS // 2 + 7, told) for n, told in enumerate(DAYS)]


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_what_is_told_does_not_depend_on_batches(batch_size: int) -> None:
    """The same messages in the same order."""
    assert run(SAID).told == run(SAID, batch_size=batch_size).told


def test_a_statement_is_compared_when_it_comes_and_all_are_every_hour() -> None:
    """One report for each statement, and one for each full hour between them."""
    reports: list[ReconReport] = run(SAID).messages(ReconReport)
    at = [report.as_of - START_MS for report in reports]
    assert at == sorted(at)
    came = {after_ms for after_ms, _ in SAID}
    assert came < set(at)
    assert all((START_MS + one) % EVERY_MS == 0 for one in set(at) - came)
    assert {1, 2, 3} == {report.statements for report in reports}


def test_a_break_is_told_once_and_closed_when_it_is_gone() -> None:
    """The second day lacks an entry; once it is booked the next comparison says that the break is closed."""
    first = run(SAID)
    (told,) = first.messages(ReconException)
    assert ("open", "not_in_books", 500, ("s1/0",)) == (told.state, told.kind, told.amount, told.line_ids)
    mended = first.records
    mended._books = lambda scope, since_ms, until_ms: _with_second_day(books(scope, since_ms, until_ms), until_ms)
    later = run([(CAME_MS + 9 * EVERY_MS, DAYS[0])], records=mended, begins_ms=START_MS + CAME_MS + 9 * EVERY_MS)
    (closed,) = later.messages(ReconException)
    assert ("closed", told.break_id) == (closed.state, closed.break_id)
    assert "agrees" == later.messages(ReconReport)[-1].verdict


def _with_second_day(evidence: Evidence, until_ms: int) -> Evidence:
    entries = [*evidence.entries, Entry("e1", SINCE + DAY, 500, "CASH")]
    return evidence._replace(entries=entries, book=sum(entry.amount for entry in entries if entry.at_ms < until_ms))


REFUSED: Mapping[str, Callable[[Statement], Statement]] = {
    "with another content": lambda told: told.model_copy(update={"opening": 1, "closing": 501}),
    "covers time that s0 covers": lambda told: told.model_copy(update={"statement_id": "other"}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_statement_that_contradicts_another_is_an_alert(why: str) -> None:
    """The one that was there stands."""
    found = run([(CAME_MS, DAYS[0]), (CAME_MS + 5, REFUSED[why](DAYS[0]))])
    (alert,) = found.messages(Alert)
    assert ("critical", "statement_refused") == (alert.severity, alert.subject)
    assert why in alert.text
    assert [DAYS[0]] == found.records.statements


def test_the_same_statement_told_twice_is_one() -> None:
    """It is compared again, and nothing else."""
    found = run([(CAME_MS, DAYS[0]), (CAME_MS + 5, DAYS[0])])
    assert [] == found.messages(Alert)
    assert [DAYS[0]] == found.records.statements


def test_what_cannot_be_read_is_kept_apart() -> None:
    """A statement that does not add up is in quarantine with what is wrong, and the others are compared."""
    wrong = DAYS[1].model_dump_json().replace('"closing":1000', '"closing":1001').encode()
    found = run([(CAME_MS, wrong), (CAME_MS + 1, DAYS[0])])
    (kept,) = [one for one in found.told if one.topic == "quarantine.recon.statements"]
    assert b"closing says 1001" in kept.value
    assert [DAYS[0]] == found.records.statements


@pytest.mark.crash
def test_a_crash_loses_nothing_and_tells_nothing_else(tmp_path: Path) -> None:
    """What was recorded before it is told again, with the same ids."""
    whole = run(SAID)
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    records = MemoryRecords(books)
    run(SAID, records=records, batch_size=1, crash_at=2, recovery=recovery)
    assert len(records.told) < len(whole.records.told)
    run(SAID, records=records, batch_size=1, recovery=recovery)
    assert whole.records.told == records.told


def test_what_is_wrong_with_balances_of_customers_is_told() -> None:
    """As it was found beside the flow, whether a statement comes or not."""
    wrong = Alert(id="a1", severity="critical", subject="settlement_mismatch", text="u1 has too much", as_of=START_MS)
    assert [wrong] == run([], verified=[wrong]).messages(Alert)
