"""The process of a ledger's writer: a `PostgresLedger` that answers over a socket, and goes on folding while it writes.

Questions are taken in while others are answered. A run is cut into batches, and each is folded while the one before it is
written, whichever run that is of; a run is answered when its last batch is committed.
"""

import gc
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Event, Thread
from typing import NamedTuple

import psycopg

from domain.ledger.books import Key
from domain.ledger.journal import Transaction
from sinks.ledger.frames import ANSWER, TROUBLE, Opening, Question, Trouble, framed, value_of
from sinks.ledger.process import KNOWN
from sinks.ledger.writer import PostgresLedger, booked
from sinks.ledger.writing import Prepared

Inbox = SimpleQueue[bytes | None]
"""Questions as they come, and between them None: a batch was written."""

WANTED: type[list[Key] | None] = list[Key] | None  # type: ignore[assignment]


class _Run(NamedTuple):
    """A run that was asked for: how many batches it was cut into, and those that are written."""

    batches: int
    written: list[Prepared]


class _Desk:
    """Answers questions in their order."""

    def __init__(self, ledger: PostgresLedger, inbox: Inbox, answer: Callable[[object], None]) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._answer = answer
        self._runs: deque[_Run] = deque()

    def serve(self) -> None:
        """Answer until told to close."""
        while (frame := self._inbox.get()) is None or frame[0] != Question.CLOSE:
            if frame is None:
                self._look()
            elif frame[0] == Question.POST:
                self._post(value_of(frame, list[Transaction]))
            else:
                self._note(self._ledger.settle())
                self._answer(self._said(frame))
        self._note(self._ledger.settle())

    def _look(self) -> None:
        """Answer what is written by now, unless there is more to fold first."""
        if self._inbox.empty() and not self._ledger.is_writing:
            self._note(self._ledger.settle())

    def _post(self, transactions: Sequence[Transaction]) -> None:
        # Cut at once, so that it is known when the run is done.
        batches = list(self._ledger.batches(transactions))
        self._runs.append(_Run(len(batches), []))
        for batch in batches:
            self._note(self._ledger.go_on(batch))
            self._ledger.when_written(lambda: self._inbox.put(None))
        self._answer_runs()

    def _note(self, written: Sequence[Prepared]) -> None:
        for batch in written:
            self._runs[0].written.append(batch)
            self._answer_runs()

    def _answer_runs(self) -> None:
        while self._runs and len(self._runs[0].written) == self._runs[0].batches:
            self._answer(booked(self._runs.popleft().written))

    def _said(self, frame: bytes) -> object:
        match frame[0]:
            case Question.BALANCES:
                return self._ledger.balances(value_of(frame, WANTED))
            case Question.OPEN_HOLDS:
                return self._ledger.open_holds()
            case Question.HEARD:
                return self._ledger.heard(value_of(frame, int))
            case _:
                return self._ledger.newest_batch()


def answer(socket: int) -> None:
    """Open the ledger that whoever is at the other end of this socket asks for, and answer until told to close.

    An error is the last thing that is said. When nobody can ask any more, the process ends at once.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # who asks is told as well, and settles what is under way before it closes
    # Nothing here makes cycles; and the thread that writes mostly waits, and should go on at once when it need not.
    gc.set_threshold(1_000_000, 50, 100)
    sys.setswitchinterval(0.0001)
    connection = Connection(socket)
    try:
        _serve(connection)
    except Exception as error:
        trouble = _trouble(error)
        if not trouble.kind:
            traceback.print_exc()
        connection.send_bytes(framed(TROUBLE, trouble))
        os._exit(1)  # and not wait for a batch that is being written


def _serve(connection: Connection) -> None:
    dsn, shard, accounts, batch_max, pid = value_of(connection.recv_bytes(), Opening)
    heard = Event()
    inbox: Inbox = SimpleQueue()
    Thread(target=_take_in, args=(connection, inbox, heard), daemon=True).start()

    def lives() -> bool:
        was_heard = heard.is_set()
        heard.clear()
        return was_heard

    with closing(PostgresLedger(dsn, shard, accounts=accounts, batch_max=batch_max, pid=pid, lives=lives)) as ledger:
        gc.freeze()  # a million balances are not garbage, and need not be looked through for some

        def say(value: object) -> None:
            connection.send_bytes(framed(ANSWER, value))

        say(shard)
        _Desk(ledger, inbox, say).serve()


def _take_in(connection: Connection, inbox: Inbox, heard: Event) -> None:
    try:
        while True:
            frame = connection.recv_bytes()
            heard.set()
            if frame[0] != Question.LIVE:
                inbox.put(frame)
    except (OSError, EOFError):
        os._exit(0)


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, psycopg.Error):
        return Trouble("psycopg", error.sqlstate, error.diag.message_primary or str(error))
    kind = next((name for name, known in KNOWN.items() if isinstance(error, known)), "")
    return Trouble(kind, None, str(error) if kind else f"the ledger's writer failed: {error!r}; its traceback is above")
