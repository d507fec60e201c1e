"""The settlement's flow: the books do not depend on how the streams were cut, read or broken off."""

import json
from pathlib import Path

import pytest

from app.workers.shape import shape_of
from connectors.kafka.origin import Origin
from domain.topics import SETTLEMENT_RESULTS
from tests.domain.settlement.played import Played, crowd
from tests.flows.settlement_runs import Told, flow_over, fresh, in_memory, recorded, run

SEED, STEPS = 7, 150
WORDS = [*crowd(SEED, STEPS)]
TAPES = recorded(enumerate(WORDS))


def books(told: Told) -> list[tuple[str, str]]:
    """What was booked, with its body, whenever it was."""
    return [(row["id"], row["body_hash"]) for row in told.ledger.transaction_rows()]


@pytest.fixture(scope="module")
def whole() -> Told:
    """A run that nothing disturbs."""
    return run(TAPES)


def test_the_flow_books_what_the_desk_decides(whole: Told) -> None:
    """In the same order, and tells of each word what became of it."""
    played = Played()
    played.tell(*WORDS)
    assert [row["id"] for row in played.ledger.transaction_rows()] == [id_ for id_, _ in books(whole)]
    results = [one for one in whole.outgoing if one.topic == SETTLEMENT_RESULTS.name]
    assert len(played.kept.booked) + len(played.kept.refused) == len(results)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (3, 1), (7, 2), (100, 3)])
def test_how_the_streams_are_cut_does_not_show(whole: Told, batch_size: int, workers: int) -> None:
    """For any batch size and number of workers."""
    told = run(TAPES, batch_size=batch_size, workers=workers)
    assert books(whole) == books(told)
    assert whole.refused == told.refused


@pytest.mark.parametrize("crash_at", range(1, 60, 4))
def test_a_crash_changes_nothing(whole: Told, crash_at: int, tmp_path: Path) -> None:
    """Broken off at any message, and begun again from what was saved: the same books, the same refusals."""
    told = run(TAPES, batch_size=3, crash_at=crash_at, recovery=tmp_path / "state")
    run(TAPES, told=told, batch_size=3, recovery=tmp_path / "state")
    assert books(whole) == books(told)
    assert whole.refused == told.refused


def test_step_ids_are_frozen() -> None:
    """A step that is renamed starts empty without a word, so a change here must be meant, and needs a way to move state."""
    told = fresh()
    steps = shape_of(flow_over(TAPES, in_memory(told), told, 1, None), [], Origin(), {})["steps"]
    assert json.loads((Path(__file__).parent / "steps.json").read_text())["settlement"] == steps
