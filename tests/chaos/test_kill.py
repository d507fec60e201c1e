"""Processes die and come again; the books do not show it."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.demo.crowd import CrowdThread
from app.reports.invariants import check_invariants
from app.workers.session import Session
from domain.errors import FencedError
from tests.app.surroundings import ended, open_folder
from tests.app.trading import open_trading, settle
from tests.chaos.kill_loop import Survived, start_worker, survive
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("BALLAST_TEST_KILLS", "50"))
SEED = 1
PATIENT = pytest.mark.timeout(1800 + 60 * KILLS)


@pytest.fixture(scope="module")
def survived() -> Survived:
    """One loop of kills; its tests share it, since it takes some seconds per kill."""
    return survive(KILLS, SEED)


@PATIENT
def test_kills_hit_workers_at_work(survived: Survived) -> None:
    """The loop is worth something: every kill hit a worker that had done something, and every other one had just booked."""
    assert KILLS == survived.kills
    assert KILLS // 2 <= survived.kills_after_booking


@PATIENT
def test_the_books_are_those_of_an_undisturbed_run(survived: Survived) -> None:
    """The same live trades with the same digests: nothing was lost, and nothing was booked twice or otherwise."""
    assert survived.undisturbed == survived.trades
    assert KILLS < len(survived.trades)


@PATIENT
def test_every_promise_was_kept(survived: Survived) -> None:
    """All invariants hold: orders at the exchange are those that were reserved and decided, one at a time."""
    assert {} == survived.breaches
    assert 0 < survived.orders


@PATIENT
def test_the_last_worker_stops(survived: Survived) -> None:
    """After what piled up was worked off SIGTERM ends it cleanly."""
    assert 0 == survived.exit_code


@pytest.fixture
def trading() -> Iterator[tuple[Session, Path]]:
    """Everything but workers and users."""
    with open_trading() as opened:
        yield opened


def test_two_workers_over_one_ledger(trading: tuple[Session, Path]) -> None:
    """The second one stops with a sentence that names the first, and exit code 75; the first goes on booking."""
    session, folder = trading
    first = start_worker(session, folder / "first.log")
    until(lambda: _count(session, "SELECT count(*) FROM ledger.writer") > 0, "the first worker")
    with open_folder() as elsewhere:
        second = start_worker(session, folder / "second.log", BALLAST_DATA=f'{{"folder": "{elsewhere}"}}')
        assert FencedError.exit_code == second.wait(PATIENCE_SECONDS), (folder / "second.log").read_text()
    last = (folder / "second.log").read_text().splitlines()[-1]
    assert last.startswith("ballast: ")
    assert str(first.pid) in last
    with CrowdThread(session.places.kafka, 1, 40):
        until(_booked_more_than(session, 20), "trades")
    settle(session.places)
    assert 0 == ended(first)
    assert {} == {name: found for name, found in check_invariants(session.places, session.venue_urls).items() if found}


def test_a_ledger_is_taken_over(trading: tuple[Session, Path]) -> None:
    """A worker that starts while another one dies gets the ledger, and goes on."""
    session, folder = trading
    first = start_worker(session, folder / "first.log")
    with CrowdThread(session.places.kafka, 2, 40):
        until(_booked_more_than(session, 10), "trades")
        second = start_worker(session, folder / "second.log")
        first.kill()
        assert -signal.SIGKILL == first.wait()
        until(_booked_more_than(session, _trades(session) + 20), "more trades")
    settle(session.places)
    assert 0 == ended(second)
    assert {} == {name: found for name, found in check_invariants(session.places, session.venue_urls).items() if found}


def test_a_standby_takes_over_from_a_worker_that_was_only_paused(trading: tuple[Session, Path]) -> None:
    """It waits while the first one works, goes on when that one hangs, and keeps it out when it wakes."""
    session, folder = trading
    first = start_worker(session, folder / "first.log")
    with CrowdThread(session.places.kafka, 4, 40), open_folder() as elsewhere:
        until(_booked_more_than(session, 10), "trades")
        own = {"BALLAST_DATA": f'{{"folder": "{elsewhere}"}}', "BALLAST_RUN": '{"standby": true}'}
        standby = start_worker(session, folder / "standby.log", **own)
        until(lambda: "worker.stands_by" in (folder / "standby.log").read_text(), "the standby")
        os.kill(first.pid, signal.SIGSTOP)
        until(_booked_more_than(session, _trades(session) + 20), "more trades")
        os.kill(first.pid, signal.SIGCONT)
        assert 0 != first.wait(PATIENCE_SECONDS)
        until(_booked_more_than(session, _trades(session) + 20), "trades that nobody disturbs")
    settle(session.places)
    assert 0 == ended(standby)
    assert {} == {name: found for name, found in check_invariants(session.places, session.venue_urls).items() if found}


def test_a_stopped_worker_resumes(trading: tuple[Session, Path]) -> None:
    """SIGTERM in full flight ends it with code 0; the next one goes on where it stopped."""
    session, folder = trading
    with CrowdThread(session.places.kafka, 3, 40):
        for _ in range(3):
            before = _trades(session)
            worker = start_worker(session, folder / "worker.log")
            until(_booked_more_than(session, before + 10), "trades")
            assert 0 == ended(worker), (folder / "worker.log").read_text()
    last = start_worker(session, folder / "worker.log")
    settle(session.places)
    assert 0 == ended(last)
    assert {} == {name: found for name, found in check_invariants(session.places, session.venue_urls).items() if found}


def _booked_more_than(session: Session, trades: int) -> Callable[[], bool]:
    return lambda: _trades(session) > trades


def _trades(session: Session) -> int:
    return _count(session, "SELECT count(*) FROM ledger.tx WHERE template LIKE 'USER\\_%'")


def _count(session: Session, query: str) -> int:
    with psycopg.connect(session.places.dsn) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    return int(row[0]) if row else 0
