"""What goes round beside a flow: a thread per name, of which the flow takes what it tells and never waits for it.

Whoever has to be asked again and again, as an exchange, a provider or a wallet has, stands behind a `Rounds`. The snapshot of
a partition is the cursor of the last round that was handed on; rounds that were not are told again after a restart, so nothing
is kept but that. What goes wrong in a thread is raised in the flow, which ends the flow.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from queue import Empty, Queue
from typing import Generic, NamedTuple, Protocol, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.clock import now_ms
from domain.errors import ConfigError
from domain.times import datetime_of

ROUNDS_AHEAD_MAX = 100
"""How many rounds may wait for the flow; a thread that is further ahead stops going round."""

AWAKE_MS = 5
CLOSE_SECONDS = 120.0

T = TypeVar("T")
C = TypeVar("C")


class Round(NamedTuple, Generic[T, C]):
    """What one round tells, and the cursor after it: a plain tuple, which a later process goes on from."""

    told: Sequence[T]
    cursor: C


class Rounds(Protocol[T, C]):
    """Goes round whenever its thread says so, and has its connections for itself."""

    def round(self) -> Round[T, C]:
        """Go round once; what this raises ends the flow."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when there may be something to do, after so many seconds at the latest."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


Build = Callable[[C | None], Rounds[T, C]]
"""Makes the rounds that go on from a cursor, or begin at None, with connections of their own."""


class RoundsThread(threading.Thread, Generic[T, C]):
    """Goes round until it is closed or a round raises, and waits for `poll_ms` at most in between."""

    def __init__(self, name: str, rounds: Rounds[T, C], poll_ms: int) -> None:
        super().__init__(name=f"rounds of {name}", daemon=True)
        self.error: BaseException | None = None
        self._rounds = rounds
        self._poll_seconds = poll_ms / 1000
        self._gone: Queue[Round[T, C]] = Queue(ROUNDS_AHEAD_MAX)
        self._closing = threading.Event()

    def run(self) -> None:
        """Go round; the rounds belong to this thread from here on."""
        try:
            while not self._closing.is_set():
                self._go_round()
        except BaseException as error:  # noqa: BLE001, RUF100  it is raised again where the flow looks
            self.error = error
        finally:
            self._rounds.close()

    def _go_round(self) -> None:
        if self._gone.full():
            self._closing.wait(self._poll_seconds)
        else:
            self._gone.put(self._rounds.round())
            self._rounds.wait(self._poll_seconds)

    def take(self) -> Round[T, C] | None:
        """Return the oldest round that was not taken yet. Raises what ended the thread, after its last round was taken."""
        try:
            return self._gone.get_nowait()
        except Empty:
            if self.error is not None:
                raise self.error from None
            return None

    def close(self) -> None:
        """Stop after the round that is under way."""
        self._closing.set()
        self.join(CLOSE_SECONDS)


Snapshot = tuple[int, C]
"""The version of the cursor, and the cursor."""


class _RoundsPartition(StatefulSourcePartition[T, Snapshot[C | None]]):
    def __init__(self, thread: RoundsThread[T, C], version: int, cursor: C | None, stopping: Callable[[], bool]) -> None:
        self._thread = thread
        self._version = version
        self._cursor = cursor
        self._stopping = stopping
        self._thread.start()

    def next_batch(self) -> list[T]:
        """Return everything that was told since the last time."""
        if self._stopping():
            raise StopIteration
        batch: list[T] = []
        while taken := self._thread.take():
            batch.extend(taken.told)
            self._cursor = taken.cursor
        return batch

    def next_awake(self) -> datetime:
        """Return a little later: an empty batch is cheap, and a busy wait would take a core."""
        return datetime_of(now_ms() + AWAKE_MS)

    def snapshot(self) -> Snapshot[C | None]:
        """Return the cursor after what was handed on."""
        return self._version, self._cursor

    def close(self) -> None:
        """Stop the thread."""
        self._thread.close()


class RoundsSource(FixedPartitionedSource[T, Snapshot[C | None]]):
    """One partition per name, each telling what its rounds tell; ends when `stopping` says so.

    `version` is that of the cursors; a start over a snapshot of another version is refused with `ConfigError`.
    """

    def __init__(
        self, builds: Mapping[str, Build[C, T]], stopping: Callable[[], bool], poll_ms: int = 50, version: int = 1
    ) -> None:
        self._builds = dict(builds)
        self._stopping = stopping
        self._poll_ms = poll_ms
        self._version = version

    def list_parts(self) -> list[str]:
        """Return the names."""
        return sorted(self._builds)

    def build_part(self, step_id: str, for_part: str, resume_state: Snapshot[C | None] | None) -> _RoundsPartition[T, C]:
        """Return the partition of a name, going on from its cursor."""
        version, cursor = resume_state or (self._version, None)
        if version != self._version:
            msg = (
                f"the recovery store holds a cursor of {for_part} in version {version}, this program knows version "
                f"{self._version}; start over an empty recovery folder, or run the program that wrote it"
            )
            raise ConfigError(msg)
        thread = RoundsThread(for_part, self._builds[for_part](cursor), self._poll_ms)
        return _RoundsPartition(thread, self._version, cursor, self._stopping)
