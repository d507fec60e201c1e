"""Standing by for a writer that dies, hangs or is paused: who waits, how it is noticed, and how it is put out.

The writer of a shard says once a second that it lives. A standby takes over when the shard's lock is free, which it is as
soon as the writer's connection has ended, or when the writer has been silent for too long: then its connections are ended
first, and with them whatever transaction it was in. Should it wake up, its next batch fails, and if it connects again it
finds the shard taken; were its connection still alive, its fence would be too low.

For how long a writer has been silent is counted in looks at it. On a machine that stands still, or has too much to do,
looks come as late as the writer's words do, so a writer that is only short of time is not taken for dead.
"""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import psycopg
import structlog

from sinks.ledger.taking import LOCK_CLASS
from sinks.postgres import Connection, connect

BEAT_SECONDS = 1.0
SILENT_LOOKS_MAX = 25
"""A writer that says nothing new between so many looks is put out; five beats, so that some may be late."""

LOOK_SECONDS = 0.2
AWAY_SECONDS = 1.0
AWAY_TRIES_SAID = 60
"""A standby asks a database that is away so often, and says it each time so many tries have failed."""

TAKE_OVER_LOOKS_MAX = 300
"""So many looks at a writer that neither goes nor says a word, before a start beside it is given up."""

_BEAT = """
    INSERT INTO ledger.writer_beat AS b (shard, fence) VALUES (%(shard)s, %(fence)s)
    ON CONFLICT (shard) DO UPDATE SET fence = excluded.fence WHERE b.fence <= excluded.fence
"""
_HEARD = """
    SELECT w.fence, b.beat_at FROM ledger.writer w LEFT JOIN ledger.writer_beat b ON b.shard = w.shard AND b.fence = w.fence
    WHERE w.shard = %s
"""
# Seen from beside: whoever tried the lock itself would keep out the one who takes it at that moment.
_HOLDERS = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

Heard = tuple[Any, ...] | None
"""The newest that was heard of the writer of a shard; whatever it says, another one is a sign of life."""

log = structlog.get_logger()


class Beat:
    """Says that the writer of a shard lives, in a thread and over a connection of its own, until it is closed."""

    def __init__(
        self,
        dsn: str,
        shard: int,
        fence: int,
        every_seconds: float = BEAT_SECONDS,
        lives: Callable[[], bool] = lambda: True,
    ) -> None:
        self._lives = lives
        self._dsn = dsn
        self._who = {"shard": shard, "fence": fence}
        self._every_seconds = every_seconds
        self._done = Event()
        self._thread = Thread(target=self._run, name=f"beat-{shard}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Fall silent."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                with connect(self._dsn, "writer", f"beat {self._who['shard']}") as connection:
                    self._beat(connection)
            except psycopg.Error as error:
                log.warning("ledger.beat_failed", error=str(error))
                self._done.wait(self._every_seconds)

    def _beat(self, connection: Connection) -> None:
        # A word that is lost is followed by another, and a slow disk must not make it late.
        connection.execute("SET synchronous_commit = off")
        while True:
            # Who writes for somebody lives only while that one does.
            if self._lives() and connection.execute(_BEAT, self._who).rowcount == 0:
                self._done.set()
            if self._done.wait(self._every_seconds):
                return


def await_turn(dsn: str, shard: int, stopping: Callable[[], bool], silent_looks_max: int = SILENT_LOOKS_MAX) -> bool:
    """Wait until the shard can be taken, putting out a silent writer; False if told to stop before.

    A database that goes away meanwhile is waited for, which is said once a minute.
    """
    tries = 0
    while True:
        try:
            with connect(dsn, "writer", f"standby {shard}") as connection:
                return _turn_comes(connection, dsn, shard, stopping, silent_looks_max)
        except psycopg.OperationalError as error:
            if tries % AWAY_TRIES_SAID == 0:
                log.warning("ledger.standby_waits", shard=shard, away="Postgres", error=str(error))
        if stopping():
            return False
        tries += 1
        time.sleep(AWAY_SECONDS)


def _turn_comes(connection: Connection, dsn: str, shard: int, stopping: Callable[[], bool], silent_looks_max: int) -> bool:
    heard, silent_looks = _heard(connection, shard), 0
    while not stopping():
        if not _holders(connection, shard):
            return True
        newest = _heard(connection, shard)
        heard, silent_looks = newest, silent_looks + 1 if newest == heard else 0
        if silent_looks > silent_looks_max:
            _put_out(dsn, shard)
        time.sleep(LOOK_SECONDS)
    return False


def await_release(dsn: str, shard: int, looks_max: int = TAKE_OVER_LOOKS_MAX) -> bool:
    """Wait until the shard is free; False when its writer says something, and so lives, or stays too long without a word.

    A writer that was killed a moment ago holds the shard until the database has noticed.
    """
    with connect(dsn, "writer", f"taking {shard}") as connection:
        heard = _heard(connection, shard)
        for _ in range(looks_max):
            if not _holders(connection, shard):
                return True
            if _heard(connection, shard) != heard:
                return False
            time.sleep(LOOK_SECONDS)
    return False


def _heard(connection: Connection, shard: int) -> Heard:
    return connection.execute(_HEARD, (shard,)).fetchone()


def _holders(connection: Connection, shard: int) -> list[int]:
    """Return the backends that hold the lock of the shard: one, or none."""
    return [pid for (pid,) in connection.execute(_HOLDERS, (LOCK_CLASS, shard))]


def _put_out(dsn: str, shard: int) -> None:
    """End the connection that holds the lock; as the login itself, which may end connections of its own."""
    with psycopg.connect(dsn, autocommit=True, application_name="ballast standby") as connection:
        for pid in _holders(connection, shard):
            log.warning("ledger.writer_put_out", shard=shard, backend=pid)
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
