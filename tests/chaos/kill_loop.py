"""Kills a worker again and again while users trade, and compares what is left with an undisturbed run.

    python -m tests.chaos.kill_loop --kills 1000 --seed 7

Each worker is waited for until it has done something, every other one until it has booked something, and gets SIGKILL a seeded
random moment later, so that it dies while it reads, books, sends and saves its state alike; one that never does anything is
reported, and not killed. When the users have
stopped, a last worker finishes, and its books are settled before they are judged. Then everything that was read is recorded
and replayed in memory, without any kill: the live trades have to be the same, and so have the digests of what was booked for
them.
"""

import argparse
import json
import random  # noqa: TID251 - seeded
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from app.demo.crowd import CrowdThread
from app.replay.record import record_topics
from app.replay.replay import replay
from app.reports.invariants import check_invariants
from app.settings import Settings
from app.workers.session import Session
from connectors.embedded.processes import die_with_parent
from connectors.recorded import read_folder
from flows import everything
from tests.app.surroundings import ended, environment
from tests.app.trading import open_trading, settle
from tests.waiting import until

MOMENT_SECONDS = 1.2
"""A worker lives at most so long after its first deed; an epoch takes a second, so some die before their first one ends."""
TRADES_PER_SECOND = 40
BOOKED = """
SELECT tx_id::text, encode(body_hash, 'hex') FROM ledger.tx WHERE template LIKE 'USER\\_%'
    AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.cause_tx_id = ledger.tx.tx_id AND r.relation = 'reversed')
ORDER BY tx_id
"""
DONE = "SELECT (SELECT count(*) FROM ledger.batch), (SELECT max(as_of) FROM treasury.gauge)"
"""What grows when a worker does something: batches that it books, words that its steps say when an epoch ends."""


Connection = psycopg.Connection[Any]
Worker = subprocess.Popen[bytes]


class Survived(NamedTuple):
    """What was left: how many workers were killed, and how many of them had booked something; the live trades by id with
    their digests, as they are and as an undisturbed run books them; what the checks found; how the last worker ended, and
    after how many seconds it had caught up."""

    kills: int
    kills_after_booking: int
    trades: dict[str, str]
    undisturbed: dict[str, str]
    breaches: dict[str, list[str]]
    orders: int
    catch_up_seconds: float
    exit_code: int


def start_worker(session: Session, log: Path, flow: str = "everything", **settings: str) -> Worker:
    """A worker process without a supervisor."""
    with log.open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "app.workers.worker", flow],
            env=environment({**session.env, **settings}),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=die_with_parent,
        )


def survive(kills: int, seed: int) -> Survived:
    """Run the whole loop; the same seed kills after the same pauses."""
    with ExitStack() as stack:
        session, folder = stack.enter_context(open_trading())
        with CrowdThread(session.places.kafka, seed, TRADES_PER_SECOND):
            booked = kill_often(session, folder / "worker.log", kills, random.Random(seed))
        last = start_worker(session, folder / "worker.log")
        started = time.monotonic()
        settle(session.places)
        caught_up_seconds = time.monotonic() - started
        code = ended(last)
        breaches = check_invariants(session.places, session.venue_urls)
        record_topics(session.places.kafka, folder / "recorded")
        with psycopg.connect(session.places.dsn) as connection:
            trades = dict(connection.execute(BOOKED).fetchall())
            orders = connection.execute("SELECT count(*) FROM treasury.request WHERE kind = 'order'").fetchone()
        return Survived(
            kills,
            booked,
            trades,
            undisturbed_trades(folder / "recorded"),
            {name: found for name, found in breaches.items() if found},
            int(orders[0]) if orders else 0,
            caught_up_seconds,
            code,
        )


def kill_often(session: Session, log: Path, kills: int, dice: random.Random) -> int:
    """Start a worker and kill it when it is at work, over and over; returns how many had booked something."""
    bookers = 0
    with psycopg.connect(session.places.dsn, autocommit=True) as connection:
        for number in range(kills):
            before = _done(connection)
            deeds = before[:1] if number % 2 else before
            worker = start_worker(session, log)
            until(partial(_has_done_more, connection, deeds, worker, log), "a worker to do something")
            time.sleep(dice.uniform(0, MOMENT_SECONDS))
            _must_live(worker, log)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            bookers += _done(connection)[0] > before[0]
    return bookers


def _has_done_more(connection: Connection, deeds: Sequence[object], worker: Worker, log: Path) -> bool:
    _must_live(worker, log)
    return _done(connection)[: len(deeds)] != deeds


def _must_live(worker: Worker, log: Path) -> None:
    assert worker.poll() is None, f"a worker ended by itself with {worker.returncode}: {log.read_text()[-2000:]}"


def _done(connection: Connection) -> tuple[int, datetime | None]:
    batches, spoke_at = connection.execute(DONE).fetchone() or (0, None)
    return int(batches), spoke_at


def undisturbed_trades(recorded: Path) -> dict[str, str]:
    """Digest by id of the live trades that a run over the recorded messages books when nothing disturbs it."""
    ledger = replay(Settings(), read_folder(recorded, everything.INPUTS)).ledger
    rows = ledger.transaction_rows()
    reversed_ids = {row["cause_tx_id"] for row in rows if row["relation"] == "reverses"}
    return {row["id"]: row["body_hash"] for row in rows if _is_live_trade(row, reversed_ids)}


def _is_live_trade(row: Mapping[str, Any], reversed_ids: set[str]) -> bool:
    return row["template"].startswith("USER_") and row["id"] not in reversed_ids


def main() -> None:
    """Run the loop by hand, for longer than a test may take; prints one JSON object, exits with 1 when a promise broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    survived = survive(options.kills, options.seed)
    sound = not survived.breaches and survived.trades == survived.undisturbed
    counted = {"trades": len(survived.trades), "undisturbed": len(survived.undisturbed), "sound": sound}
    sys.stdout.write(json.dumps({**survived._asdict(), **counted}) + "\n")
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
