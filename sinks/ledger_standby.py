"""Standing by for a writer that dies, hangs or is paused: who waits, how it is noticed, and how it is put out.

The writer of a shard says once a second that it lives. A standby takes over when the shard's lock is free, which it is as
soon as the writer's connection has ended, or when the writer has been silent for too long: then its connections are ended
first, and with them whatever transaction it was in. Should it wake up, its next batch fails, and if it connects again it
finds the shard taken; were its connection still alive, its fence would be too low.
"""

import time
from collections.abc import Callable
from threading import Event, Thread

import psycopg
import structlog

from sinks.connecting import Connection, connect
from sinks.ledger_taking import LOCK_CLASS

BEAT_SECONDS = 1.0
SILENT_MAX_SECONDS = 3.0
"""A writer that has not been heard of for so long is put out; three beats, so that one may be late."""

LOOK_SECONDS = 0.2

_BEAT = """
    INSERT INTO ledger.writer_beat AS b (shard, fence, beat_at) VALUES (%(shard)s, %(fence)s, clock_timestamp())
    ON CONFLICT (shard) DO UPDATE SET fence = excluded.fence, beat_at = excluded.beat_at WHERE b.fence <= excluded.fence
"""
_SILENCE = """
    SELECT extract(EPOCH FROM clock_timestamp() - coalesce(b.beat_at, w.since))::FLOAT
    FROM ledger.writer w LEFT JOIN ledger.writer_beat b ON b.shard = w.shard AND b.fence = w.fence WHERE w.shard = %s
"""
_HOLDERS = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

log = structlog.get_logger()


class Beat:
    """Says that the writer of a shard lives, in a thread and over a connection of its own, until it is closed."""

    def __init__(self, dsn: str, shard: int, fence: int, every_seconds: float = BEAT_SECONDS) -> None:
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
        while True:
            is_fenced = connection.execute(_BEAT, self._who).rowcount == 0
            if is_fenced:
                self._done.set()
            if self._done.wait(self._every_seconds):
                return


def await_turn(dsn: str, shard: int, stopping: Callable[[], bool], silent_max_seconds: float = SILENT_MAX_SECONDS) -> bool:
    """Wait until the shard can be taken, putting out a silent writer; False if told to stop before."""
    with connect(dsn, "writer", f"standby {shard}") as connection:
        while not stopping():
            if _is_free(connection, shard):
                return True
            if _silence_seconds(connection, shard) > silent_max_seconds:
                _put_out(dsn, shard)
            time.sleep(LOOK_SECONDS)
    return False


def _is_free(connection: Connection, shard: int) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, shard)).fetchone()
    if not row or not row[0]:
        return False
    connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_CLASS, shard))
    return True


def _silence_seconds(connection: Connection, shard: int) -> float:
    row = connection.execute(_SILENCE, (shard,)).fetchone()
    return float(row[0]) if row else 0.0


def _put_out(dsn: str, shard: int) -> None:
    """End the connection that holds the lock; as the login itself, which may end connections of its own."""
    with psycopg.connect(dsn, autocommit=True, application_name="ballast standby") as connection:
        for (pid,) in connection.execute(_HOLDERS, (LOCK_CLASS, shard)).fetchall():
            log.warning("ledger.writer_put_out", shard=shard, backend=pid)
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
