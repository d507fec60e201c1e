"""Kills the settlement's worker again and again while customers trade, over a real ledger and broker.

Each round some more is told; when the worker has booked something of late, and a seeded moment after that, it gets SIGKILL. The
last worker finishes. Then one reads every topic again from the start, without any saved state. In the end everything that was
told is recorded, and settled once more in memory, by nobody who is killed.
"""

import random  # noqa: TID251 - seeded
import shutil
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from pydantic import SecretStr

from app.cli.produce import tell
from app.replay.record import read_recorded, record_topics
from app.settings import Data, Postgres, Settings
from app.workers.session import Session, open_session
from connectors.clock import now_ms
from connectors.kafka.peek import last_at_ms
from domain.ledger.accounts import SETTLEMENT_SHARD
from domain.messages.fields import Message
from domain.settlement.answers import key_of
from domain.settlement.records import Put
from flows import settlement
from operators.streams.publish import outgoing
from tests.app.surroundings import ended, open_database, open_folder, open_server
from tests.chaos.kill_loop import Worker, start_worker
from tests.domain.settlement.played import crowd
from tests.flows.settlement_runs import run
from tests.waiting import until

WORDS_PER_ROUND = 60
MOMENT_SECONDS = 1.2
"""A worker lives at most so long after it has booked something; an epoch takes a second, so some die before their first ends."""

BOOKED = """
SELECT t.tx_id::text, encode(t.body_hash, 'hex') FROM ledger.tx t JOIN ledger.batch b USING (batch_id) WHERE b.shard = %s
"""
REFUSED = 'SELECT word_id, reason FROM settlement.refusal ORDER BY word_id COLLATE "C", reason COLLATE "C"'
UNBALANCED = "SELECT count(*) FROM settlement.v_zero_sum WHERE residual <> 0"
CONFLICTS = "SELECT (SELECT count(*) FROM ledger.conflict) + (SELECT count(*) FROM ledger.reject)"
DEEDS = "SELECT (SELECT count(*) FROM ledger.batch WHERE shard = %s), (SELECT count(*) FROM settlement.refusal)"
COME_TO = """
SELECT coalesce(min(value), 0)::bigint FROM treasury.gauge
WHERE name = 'watermark_ms' AND step = 'book_settlement' AND as_of > to_timestamp(%s / 1000.0)
"""
"""How far the booking step has come, if it has said so since a time."""


class Books(NamedTuple):
    """What is booked, by id with its digest, and what is refused, by name and reason."""

    booked: dict[str, str]
    refused: list[tuple[str, str]]


class Survived(NamedTuple):
    """What was left after the kills, and after all was read again; what an undisturbed run leaves; what is wrong in itself."""

    kills: int
    left: Books
    read_again: Books
    undisturbed: Books
    unbalanced: int
    refused_by_books: int
    exit_codes: Sequence[int]


class Rounds(NamedTuple):
    """Where the rounds are played."""

    session: Session
    folder: Path
    connection: "psycopg.Connection[Any]"

    def start(self) -> Worker:
        """Start a worker."""
        return start_worker(self.session, self.folder / "worker.log", "settlement")

    def deeds(self) -> Sequence[int]:
        """What grows when a worker does something."""
        return self.connection.execute(DEEDS, (SETTLEMENT_SHARD,)).fetchone() or ()

    def number(self, query: str) -> int:
        """The one number that a query gives."""
        row = self.connection.execute(query).fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0

    def books(self) -> Books:
        """What is there now."""
        booked = self.connection.execute(BOOKED, (SETTLEMENT_SHARD,)).fetchall()
        return Books(dict(booked), self.connection.execute(REFUSED).fetchall())

    def say(self, words: Sequence[Message]) -> int:
        """Put words on their topics; when that was done."""
        tell(self.session.places.kafka, [outgoing(word, now_ms()) for word in words])
        return now_ms()

    def newest_ms(self) -> int:
        """When the last word came to any of the topics that the settlement reads."""
        return max(last_at_ms(self.session.places.kafka, topic.name) for topic in settlement.INPUTS)


def survive(kills: int, seed: int) -> Survived:
    """Play all rounds; the same seed tells the same, and kills after the same pauses."""
    dice = random.Random(seed)
    with ExitStack() as stack:
        rounds = _opened(stack)
        words = iter(crowd(seed, 40 * kills))
        for _ in range(kills):
            _round(rounds, list(islice(words, WORDS_PER_ROUND)), dice.uniform(0, MOMENT_SECONDS))
        rounds.say(list(words))
        codes = [_finished(rounds)]
        left = rounds.books()
        shutil.rmtree(rounds.folder / "data" / "recovery")
        codes.append(_finished(rounds))
        record_topics(rounds.session.places.kafka, rounds.folder / "recorded")
        told = run(read_recorded(rounds.folder / "recorded", settlement.INPUTS))
        undisturbed = Books({row["id"]: row["body_hash"] for row in told.ledger.transaction_rows()}, _refused(told.refused))
        wrong = rounds.number(UNBALANCED), rounds.number(CONFLICTS)
        return Survived(kills, left, rounds.books(), undisturbed, *wrong, codes)


def _opened(stack: ExitStack) -> Rounds:
    folder = stack.enter_context(open_folder())
    dsn = stack.enter_context(open_database(stack.enter_context(open_server())))
    session = stack.enter_context(
        open_session(Settings(data=Data(folder=folder / "data"), postgres=Postgres(dsn=SecretStr(dsn))), None)
    )
    return Rounds(session, folder, stack.enter_context(psycopg.connect(dsn, autocommit=True)))


def _round(rounds: Rounds, words: Sequence[Message], moment_seconds: float) -> None:
    """Tell some words, and kill the worker a moment after it has done something."""
    worker, before = rounds.start(), rounds.deeds()
    rounds.say(words)
    until(lambda: _lives(rounds, worker) and rounds.deeds() != before, "a worker to book or refuse something")
    time.sleep(moment_seconds)
    _lives(rounds, worker)
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def _finished(rounds: Rounds) -> int:
    """Let a worker do everything that was told; return how it ended."""
    started_ms, newest_ms = now_ms(), rounds.newest_ms()
    worker = rounds.start()
    until(partial(_has_come, rounds, worker, started_ms, newest_ms), "everything to be settled")
    return ended(worker)


def _has_come(rounds: Rounds, worker: Worker, started_ms: int, newest_ms: int) -> bool:
    _lives(rounds, worker)
    row = rounds.connection.execute(COME_TO, (started_ms,)).fetchone()
    return row is not None and row[0] > newest_ms


def _lives(rounds: Rounds, worker: Worker) -> bool:
    said = rounds.folder / "worker.log"
    assert worker.poll() is None, f"a worker ended by itself with {worker.returncode}: {said.read_text()[-2000:]}"
    return True


def _refused(refused: Iterable[Put]) -> list[tuple[str, str]]:
    words = {put.word: put.refusal.reason for put in refused}
    return sorted((key_of(word)[1], reason) for word, reason in words.items())
