"""A ledger whose writer is a process of its own.

Folding, rendering and writing cost as much as all that a flow does with a trade before; within one interpreter the two wait
for each other. So the questions of a flow go over a socket to a `PostgresLedger` in another process (`answering.py`), which folds
runs while those before them are written, and answers in order.

The process lives as long as the one that asks: at the end of the socket it ends, whatever it is at. Then the database keeps the
batches that were committed, and no other, as when a writer is killed. It ends with its first error as well, which every
question that is still open gets as its answer: nothing of a later run is posted after an earlier one has failed.
"""

import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeVar
from weakref import finalize

import psycopg

from domain.errors import BallastError, ConfigError, FencedError, InvariantError
from domain.ledger.accounts import Account
from domain.ledger.books import Key
from domain.ledger.journal import Balance, Booked, Heard, Transaction
from sinks.ledger.batches import BATCH_MAX
from sinks.ledger.frames import TROUBLE, Opening, Question, Trouble, framed, value_of
from sinks.ledger.standby import BEAT_SECONDS

A = TypeVar("A")

KNOWN = {kind.__name__: kind for kind in (FencedError, InvariantError, ConfigError, BallastError)}
"""The errors that come back as they are."""


class _Asked(NamedTuple):
    answered: "Future[Any]"
    kind: type


class LedgerProcess:
    """A `Ledger` whose writer is a process of its own, started here; see `PostgresLedger` for what it does and raises.

    `command` starts the process, and gets the number of its end of the socket as its last argument. After an error the ledger
    answers nothing more, and its process has ended.
    """

    def __init__(
        self, command: Sequence[str], dsn: str, shard: int = 0, *, accounts: Sequence[Account], batch_max: int = BATCH_MAX
    ) -> None:
        self._shard = shard
        self._lock = Lock()
        self._asked: deque[_Asked] = deque()
        self._ended: BaseException | None = None
        self._process, self._connection = _started(command)
        # Also when nobody closes it: whoever comes next should find the shard free.
        self._end = finalize(self, _end, self._process, self._connection)
        opened: Future[int] = Future()
        self._asked.append(_Asked(opened, int))
        Thread(target=self._listen, name=f"ledger {shard} answers", daemon=True).start()
        self._connection.send_bytes(framed(0, Opening(dsn, shard, accounts, batch_max, os.getpid())))
        Thread(target=self._live, name=f"ledger {shard} lives", daemon=True).start()
        try:
            opened.result()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a run of transactions and wait until it is durable."""
        return self.post_soon(transactions).result()

    def post_soon(self, transactions: Sequence[Transaction]) -> "Future[Booked]":
        """Post a run after those before it, without waiting for any of them."""
        return self._ask(Question.POST, transactions, Booked)

    def balances(self, keys: Collection[Key] | None = None) -> list[Balance]:
        """The balances of these accounts and currencies, or every one of the shard, in order."""
        return self._ask(Question.BALANCES, None if keys is None else list(keys), list[Balance]).result()

    def open_holds(self) -> list[Transaction]:
        """The holds of the shard that will expire if nothing ends them before, without their entries."""
        return self._ask(Question.OPEN_HOLDS, None, list[Transaction]).result()

    def heard(self, after_batch_id: int) -> Heard:
        """Read what others have posted to the shard."""
        return self._ask(Question.HEARD, after_batch_id, Heard).result()

    def newest_batch(self) -> int:
        """Return the id of the newest batch of the shard, by whomever it was posted."""
        return self._ask(Question.NEWEST_BATCH, None, int).result()

    def close(self) -> None:
        """Give the shard back, and wait until the process has ended."""
        self._end()

    def _ask(self, question: Question, argument: object, kind: type[A]) -> "Future[A]":
        answered: Future[A] = Future()
        frame = framed(question, argument)
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._asked.append(_Asked(answered, kind))
            # What cannot be sent any more is answered by the end that the listener comes to.
            with suppress(OSError):
                self._connection.send_bytes(frame)
        return answered

    def _live(self) -> None:
        """Say that this process lives, so that the writer says so for both; if one of them hangs, neither is heard of."""
        with suppress(OSError):
            while self._ended is None:
                with self._lock:
                    self._connection.send_bytes(framed(Question.LIVE, None))
                time.sleep(BEAT_SECONDS / 2)

    def _listen(self) -> None:
        """Hand on the answers, in the order of the questions, until there are no more."""
        try:
            while (frame := self._connection.recv_bytes())[0] != TROUBLE:
                answered, kind = self._asked.popleft()
                answered.set_result(value_of(frame, kind))
            ended = _raised(value_of(frame, Trouble))
        except (OSError, EOFError):
            code = self._process.wait()
            ended = BallastError(f"the process that writes shard {self._shard} of the ledger has ended with {code}")
        with self._lock:
            self._ended = ended
        for asked in self._asked:
            asked.answered.set_exception(ended)


def _started(command: Sequence[str]) -> "tuple[subprocess.Popen[bytes], Connection]":
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, str(its.fileno())], stdin=subprocess.DEVNULL, pass_fds=[its.fileno()]
        )
    return process, Connection(ours.detach())


def _end(process: "subprocess.Popen[bytes]", connection: Connection) -> None:
    with suppress(OSError):
        connection.send_bytes(framed(Question.CLOSE, None))
    process.wait()


def _raised(trouble: Trouble) -> Exception:
    """Return the error as whoever has the ledger in his own process meets it."""
    if trouble.kind in KNOWN:
        return KNOWN[trouble.kind](trouble.text)
    if trouble.kind == "psycopg":
        error = psycopg.errors.lookup(trouble.sqlstate) if trouble.sqlstate else psycopg.OperationalError
        return error(trouble.text)
    return RuntimeError(trouble.text)
