"""The settlement's worker dies again and again while customers trade; the books are those of a run that nobody killed."""

import os

import pytest

from tests.chaos.settlement_kills import Survived, survive

KILLS = int(os.environ.get("BALLAST_TEST_SETTLEMENT_KILLS", "3"))
SEED = 3
pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.timeout(1800 + 120 * KILLS)]


@pytest.fixture(scope="module")
def survived() -> Survived:
    """One loop of kills, shared by its tests; BALLAST_TEST_SETTLEMENT_KILLS says how many."""
    return survive(KILLS, SEED)


def test_every_worker_was_killed_at_work(survived: Survived) -> None:
    """So many workers died, and the last ones stop with code 0."""
    assert (KILLS, [0, 0]) == (survived.kills, survived.exit_codes)


def test_the_books_are_those_of_an_undisturbed_run(survived: Survived) -> None:
    """Each posting with its digest, each refusal with its reason, none twice, none missing."""
    assert survived.undisturbed == survived.left
    assert survived.left.booked


def test_read_again_from_the_start_nothing_is_new(survived: Survived) -> None:
    """All topics, by a worker without any saved state."""
    assert survived.left == survived.read_again


def test_the_books_agree_with_the_desk(survived: Survived) -> None:
    """Every asset comes to zero, and the books have refused nothing that the desk had accepted."""
    assert (0, 0) == (survived.unbalanced, survived.refused_by_books)
