"""Gateways as a source of a flow: a thread per venue goes round, the flow takes what it tells and never waits for it.

The snapshot of a partition is the cursor of the last round that was handed on. Rounds that were not are told again
after a restart, so nothing is kept but two numbers. What goes wrong in a thread is raised in the flow, which ends the
flow.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from queue import Empty, Queue

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from connectors.clock import as_utc, now_ms
from connectors.gateway import START, Cursor, Round, Told, VenueGateway

ROUNDS_AHEAD_MAX = 100
"""How many rounds may wait for the flow; a thread that is further ahead stops going round."""

AWAKE_MS = 5
CLOSE_SECONDS = 10.0

Build = Callable[[Cursor], VenueGateway]
"""Makes the gateway of a venue that goes on from a cursor, with its own connections."""


class GatewayThread(threading.Thread):
    """Goes round every `poll_ms` until it is closed or a round raises."""

    def __init__(self, gateway: VenueGateway, poll_ms: int) -> None:
        super().__init__(name=f"gateway {gateway.venue}", daemon=True)
        self.error: BaseException | None = None
        self._gateway = gateway
        self._poll_seconds = poll_ms / 1000
        self._rounds: Queue[Round] = Queue(ROUNDS_AHEAD_MAX)
        self._closing = threading.Event()

    def run(self) -> None:
        """The thread; the gateway belongs to it from here on."""
        try:
            while not self._closing.is_set():
                if not self._rounds.full():
                    self._rounds.put(self._gateway.round())
                self._closing.wait(self._poll_seconds)
        except BaseException as error:  # noqa: BLE001, RUF100  it is raised again where the flow looks
            self.error = error
        finally:
            self._gateway.close()

    def take(self) -> Round | None:
        """The oldest round that was not taken yet. Raises what ended the thread, after its last round was taken."""
        try:
            return self._rounds.get_nowait()
        except Empty:
            if self.error is not None:
                raise self.error from None
            return None

    def close(self) -> None:
        """Stop after the round that is under way."""
        self._closing.set()
        self.join(CLOSE_SECONDS)


class _VenuePartition(StatefulSourcePartition[Told, tuple[int, int]]):
    def __init__(self, gateway: VenueGateway, cursor: Cursor, poll_ms: int, stopping: Callable[[], bool]) -> None:
        self._cursor = cursor
        self._stopping = stopping
        self._thread = GatewayThread(gateway, poll_ms)
        self._thread.start()

    def next_batch(self) -> list[Told]:
        """Everything that was told since the last time."""
        if self._stopping():
            raise StopIteration
        batch: list[Told] = []
        while taken := self._thread.take():
            batch.extend(taken.told)
            self._cursor = taken.cursor
        return batch

    def next_awake(self) -> datetime:
        """A little later: an empty round is cheap, and a busy wait would take a core."""
        return as_utc(now_ms() + AWAKE_MS)

    def snapshot(self) -> tuple[int, int]:
        """The cursor after what was handed on."""
        return self._cursor.event_sequence, self._cursor.change_id

    def close(self) -> None:
        """Stop the thread."""
        self._thread.close()


class GatewaySource(FixedPartitionedSource[Told, tuple[int, int]]):
    """One partition per venue, each telling (topic, message); ends when `stopping` says so."""

    def __init__(self, builds: Mapping[str, Build], stopping: Callable[[], bool], poll_ms: int = 50) -> None:
        self._builds = dict(builds)
        self._stopping = stopping
        self._poll_ms = poll_ms

    def list_parts(self) -> list[str]:
        """The venues."""
        return sorted(self._builds)

    def build_part(self, step_id: str, for_part: str, resume_state: tuple[int, int] | None) -> _VenuePartition:
        """The partition of a venue, going on from its cursor."""
        cursor = Cursor(*resume_state) if resume_state else START
        return _VenuePartition(self._builds[for_part](cursor), cursor, self._poll_ms, self._stopping)
