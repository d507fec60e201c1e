"""The gateway to all providers of conversions: works what is reserved there, and tells what they say.

Providers are added, changed and removed while everything runs, so one thread goes round for all of them: each round it takes the
configurations as they are then, and deals with all providers side by side. One that hangs is left to its time-out and taken up
again after it, while the others go on.

The cursor has a triple for each provider that was ever dealt with: its name, the sequence of its newest word, and the id of the
newest change of what was asked of it. Going on from an older cursor tells the same again with the same ids.

A provider that was removed, or set inactive, is asked about what is open there until that has ended. Where nobody knows how to
reach it any more, as after a restart, that is an alert, once, and its requests stay open.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from connectors.clock import Clock
from connectors.errands import Errands
from connectors.providers.dealings import Dealings, Told, unnamed_alert, unopened_alert
from connectors.providers.port import Provider
from connectors.rounds import Round
from domain.errors import ConfigError
from domain.messages.fields import Message
from domain.messages.provider import ProviderConfig
from domain.outbox.lifecycle import DEFAULT_POLICY, Change, ExecutionPolicy, Kind, Outbox, Row

SIDE_BY_SIDE = 8
ROUND_SECONDS = 1.0
"""A round waits so long for its providers; what comes later is told in a later one."""

Cursor = tuple[tuple[str, int, int], ...]
"""For each provider, how far its words and the changes of what was asked of it have been told."""

START: Cursor = ()


class SharedOutbox:
    """An outbox that several threads use, a call at a time: each is a transaction of its own, so none sees half of another."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()

    def open_rows(self, counterparty: str) -> Sequence[Row]:
        """Return the rows of a counterparty that have not ended."""
        with self._lock:
            return self._outbox.open_rows(counterparty)

    def row(self, kind: Kind, client_id: str) -> Row | None:
        """Return one row, whatever its state."""
        with self._lock:
            return self._outbox.row(kind, client_id)

    def record(self, row: Row, at_ms: int) -> None:
        """Store what is now known of a row."""
        with self._lock:
            self._outbox.record(row, at_ms)

    def changes(self, counterparty: str, after_id: int, limit: int) -> Sequence[Change]:
        """Return the changes of a counterparty with a larger id."""
        with self._lock:
            return self._outbox.changes(counterparty, after_id, limit)

    def wait(self, counterparty: str, seconds: float) -> None:
        """Return when something was reserved there, after so many seconds at the latest."""
        with self._lock:
            self._outbox.wait(counterparty, seconds)

    def close(self) -> None:
        """Give the connection back."""
        self._outbox.close()


class ProvidersGateway:
    """All providers (a `connectors.rounds.Rounds`). One thread goes round; it owns `outbox` and what `open_provider` opens."""

    def __init__(
        self,
        configs: Callable[[], Sequence[ProviderConfig]],
        open_provider: Callable[[ProviderConfig], Provider],
        outbox: Outbox,
        clock: Clock,
        *,
        policy: ExecutionPolicy = DEFAULT_POLICY,
        cursor: Cursor = START,
    ) -> None:
        self._configs = configs
        self._open_provider = open_provider
        self._outbox = SharedOutbox(outbox)
        self._clock = clock
        self._policy = policy
        self._told = {provider: Told(provider, sequence, change_id) for provider, sequence, change_id in cursor}
        self._dealings: dict[str, Dealings] = {}
        self._running: dict[str, Future[list[Message]]] = {}
        self._alerted: set[str] = set()
        self._unopened: dict[str, ProviderConfig] = {}
        self._said: list[Message] = []
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, "provider")
        self._pause = threading.Event()

    def round(self) -> Round[Message, Cursor]:
        """Go round once. Raises what the outbox raises."""
        self._configure()
        for name, dealings in self._dealings.items():
            if name not in self._running:
                self._running[name] = self._pool.submit(dealings.round)
        wait(self._running.values(), ROUND_SECONDS)
        told = [*self._collected(), *self._of_unnamed(), *self._said]
        self._said.clear()
        return Round(told, tuple((one.provider, one.sequence, one.change_id) for _, one in sorted(self._told.items())))

    def wait(self, seconds: float) -> None:
        """Return after so many seconds: a conversion takes minutes, so nobody is woken for one."""
        self._pause.wait(seconds)

    def close(self) -> None:
        """Wait for what is under way, and give all connections back."""
        self._pool.shutdown()
        for dealings in self._dealings.values():
            dealings.close()
        self._outbox.close()

    # ---- who there is

    def _configure(self) -> None:
        """Open, change and close so that it fits the configurations; whoever is being dealt with is changed next time."""
        named = {config.provider: config for config in self._configs()}
        for name, config in named.items():
            if name not in self._running:
                self._take_up(config)
        for name in self._dealings.keys() - named.keys() - self._running.keys():
            if not self._outbox.open_rows(name):
                self._dealings.pop(name).close()

    def _take_up(self, config: ProviderConfig) -> None:
        known = self._dealings.get(config.provider)
        if known and (known.config.kind, known.config.url) == (config.kind, config.url):
            known.config = config
            return
        told = self._told.setdefault(config.provider, Told(config.provider))
        provider = self._opened(config)
        if provider is None:
            return
        if known:
            known.close()
        self._dealings[config.provider] = Dealings(config, provider, self._outbox, self._clock, self._policy, told)

    def _opened(self, config: ProviderConfig) -> Provider | None:
        """Open a provider; None where the settings do not allow it, which is tried again when it is configured anew."""
        if self._unopened.get(config.provider) == config:
            return None
        try:
            return self._open_provider(config)
        except ConfigError as error:
            self._unopened[config.provider] = config
            self._said.append(unopened_alert(config, str(error), self._clock()))
            return None

    # ---- what is told

    def _collected(self) -> Iterator[Message]:
        """Yield what those who are done have told; what one of them raises is raised here."""
        for name in sorted(name for name, future in self._running.items() if future.done()):
            told = self._running.pop(name).result()
            self._told[name] = self._dealings[name].told
            yield from told

    def _of_unnamed(self) -> Iterator[Message]:
        """Yield what became of requests to providers that nobody can reach, and an alert for each that has open ones."""
        for name in sorted(self._told.keys() - self._dealings.keys()):
            nobody = Errands(name, self._outbox, self._clock, self._policy, {}, self._told[name].change_id)
            yield from nobody.reports()
            self._told[name] = self._told[name]._replace(change_id=nobody.change_id)
            rows = self._outbox.open_rows(name)
            if rows and name not in self._alerted:
                self._alerted.add(name)
                yield unnamed_alert(name, len(rows), self._clock())
