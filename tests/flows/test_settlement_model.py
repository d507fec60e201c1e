"""The settlement's flow against a model of it: however the streams are cut, broken off and read again, everybody has the same.

BALLAST_TEST_SETTLEMENT_STEPS says how many steps customers take; a million take some quarter of an hour for each way.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pytest

from domain.templates.settlement import available_of, debt_of, locked_of
from tests.domain.settlement.model import Model
from tests.domain.settlement.played import crowd
from tests.flows.settlement_runs import Told, recorded, run

STEPS = int(os.environ.get("BALLAST_TEST_SETTLEMENT_STEPS", "1500"))
SEED = 12
APART_MS = 10_000_000 // STEPS
"""However many steps there are, they take ten thousand seconds, over a midnight."""
LARGE, SMALL = max(500, STEPS // 50), max(37, STEPS // 400)
"""Words in a batch: every batch ends with a look at all open orders, so of many steps there are as many batches as of few."""
pytestmark = pytest.mark.timeout(600 + STEPS // 100)


class Play(NamedTuple):
    """Words, and what the model makes of them."""

    words: list[tuple[int, object]]
    model: Model


class Left(NamedTuple):
    """What a run left: balances by account and asset, how many words were refused, the digest of all that was booked."""

    balances: dict[tuple[str, str], int]
    refused: int
    digest: str


@pytest.fixture(scope="module")
def play() -> Play:
    """The same words for all ways."""
    words, model = [*enumerate(crowd(SEED, STEPS))], Model()
    for _, word in words:
        model.tell(word)
    return Play([(n * APART_MS, word) for n, word in words], model)


def digest(told: Told) -> str:
    """What was booked, in its order, with its bodies."""
    said = blake2b()
    for row in told.ledger.transaction_rows():
        said.update(f"{row['id']} {row['body_hash']}\n".encode())
    return said.hexdigest()


def whole(play: Play, _folder: Path) -> Told:
    """Large batches, one worker."""
    return run(recorded(play.words), batch_size=2 * LARGE)


def cut_small(play: Play, _folder: Path) -> Told:
    """Small batches, three workers."""
    return run(recorded(play.words), batch_size=SMALL, workers=3)


def broken_off(play: Play, folder: Path) -> Told:
    """A crash in the middle of everything, and on from what was saved."""
    tapes = recorded(play.words)
    at = len(tapes["orders.locks", 0]) // 2
    told = run(tapes, batch_size=SMALL, crash_at=at, recovery=folder / "state")
    return run(tapes, told=told, batch_size=LARGE, recovery=folder / "state")


def read_again(play: Play, _folder: Path) -> Told:
    """All of it twice, without any saved state."""
    tapes = recorded(play.words)
    return run(tapes, told=run(tapes, batch_size=LARGE), batch_size=LARGE // 2)


WAYS = {way.__name__: way for way in (whole, cut_small, broken_off, read_again)}


@pytest.fixture(scope="module", params=WAYS)
def left(request: pytest.FixtureRequest, play: Play, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What one of the ways leaves."""
    told = WAYS[request.param](play, tmp_path_factory.mktemp(request.param))
    balances = {(one.account, one.currency): one.settled for one in told.ledger.balances()}
    return Left(balances, len(told.refused), digest(told))


def test_everybody_has_what_the_model_says(play: Play, left: Left) -> None:
    """By account and asset, no balance is negative, and as many words were refused."""
    model = play.model
    for parts, code, sign in ((model.available, available_of, -1), (model.locked, locked_of, -1), (model.debt, debt_of, 1)):
        for (customer, asset), amount in parts.items():
            if customer != "outside":
                assert (customer, asset, amount) == (customer, asset, sign * left.balances.get((code(customer), asset), 0))
                assert amount >= 0
    assert model.refused == left.refused


def test_every_asset_comes_to_zero(left: Left) -> None:
    """Nothing comes from nowhere."""
    assets = {asset for _, asset in left.balances}
    assert dict.fromkeys(assets, 0) == {
        asset: sum(n for (_, a), n in left.balances.items() if a == asset) for asset in assets
    }


def test_all_ways_book_the_same(left: Left, seen: set[str]) -> None:
    """To the digest of every body, in the same order."""
    seen.add(left.digest)
    assert {left.digest} == seen


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """The digests of all ways so far."""
    return set()
