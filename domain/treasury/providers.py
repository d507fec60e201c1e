"""Who may be asked to convert: the terms of each provider, how its last conversions ended, and what it took today.

What is known of a provider follows from facts alone: its configuration, the newest of which holds, and the ends of our own
attempts there. `select` in `selection.py` chooses among what `providers` returns.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from domain.messages.provider import ProviderConfig, ProviderHealth
from domain.streams.records import Snapshot
from domain.times import DAY_MS
from domain.treasury.health import BreakerEvent, BreakerState, Tally, break_on, is_healthy, last_of
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.selection import Provider
from domain.treasury.worth import MICROS_PER_CENT


class Record(NamedTuple):
    """How a provider did: its last outcomes, its breaker, what was sent there on which day by our ids, and what was told."""

    outcomes: tuple[bool, ...] = ()
    breaker: BreakerState = BreakerState()
    sent: Mapping[str, tuple[int, int]] = {}
    last_job_id: str | None = None


NEW = Record()


class Providers:
    """All providers; a part of the desk. Amounts are in micro-dollars."""

    def __init__(self, policy: TreasuryPolicy, snapshot: Snapshot | None = None) -> None:
        configs, records = snapshot or ((), ())
        self._policy = policy
        self._configs = {name: ProviderConfig.model_validate_json(line) for name, line in configs}
        self._records = {
            name: Record(outcomes, BreakerState(*breaker), dict(sent), job) for name, outcomes, breaker, sent, job in records
        }

    def snapshot(self) -> Snapshot:
        """Configurations and records, as tuples."""
        configs = tuple((name, config.model_dump_json()) for name, config in self._configs.items())
        records = tuple(
            (name, one.outcomes, tuple(one.breaker), tuple(one.sent.items()), one.last_job_id)
            for name, one in self._records.items()
        )
        return configs, records

    def learn(self, config: ProviderConfig) -> None:
        """Take new terms; the newest word holds."""
        self._configs[config.provider] = config

    def config(self, name: str) -> ProviderConfig | None:
        """Return the terms of a provider, None of one that nobody has named."""
        return self._configs.get(name)

    def providers(self, at_ms: int, without: Iterable[str] = ()) -> Iterator[Provider]:
        """Yield all providers as they are chosen from, but those that a job leaves out."""
        for name, config in sorted(self._configs.items()):
            if name not in without:
                yield self._provider(config, at_ms)

    def asks(self, name: str, attempt: str, job_id: str, amount: int, at_ms: int) -> None:
        """Note that an amount is sent there; a breaker that has been open for long enough lets it try."""
        one, today = self._record(name), at_ms // DAY_MS
        sent = {key: word for key, word in one.sent.items() if word[0] == today} | {attempt: (today, amount)}
        breaker = break_on(one.breaker, "asked", at_ms, self._policy.breaker)
        self._records[name] = one._replace(sent=sent, breaker=breaker, last_job_id=job_id)

    def ended(self, name: str, attempt: str, at_ms: int, *, is_success: bool) -> None:
        """Note how an attempt ended; what came to nothing takes no room of the day."""
        one, window = self._record(name), self._policy.health_window
        word: BreakerEvent = "success" if is_success else "failure"
        self._records[name] = one._replace(
            outcomes=(*one.outcomes, is_success)[-window:],
            breaker=break_on(one.breaker, word, at_ms, self._policy.breaker),
            sent=one.sent if is_success else {key: sent for key, sent in one.sent.items() if key != attempt},
        )

    def let_go(self, name: str, attempt: str) -> None:
        """Note that an attempt was cancelled, which says nothing of the provider."""
        one = self._record(name)
        self._records[name] = one._replace(sent={key: sent for key, sent in one.sent.items() if key != attempt})

    def health(self, at_ms: int) -> Iterator[ProviderHealth]:
        """Yield how each provider does."""
        for name, config in sorted(self._configs.items()):
            one, provider = self._record(name), self._provider(config, at_ms)
            yield ProviderHealth(
                provider=name,
                status=config.status,
                is_healthy=is_healthy(provider.tally, self._policy.health),
                successes=provider.tally.successes,
                failures=provider.tally.failures,
                breaker=one.breaker.state,
                daily_used_cents=provider.daily_used // MICROS_PER_CENT,
                last_job_id=one.last_job_id,
                as_of=at_ms,
            )

    def _record(self, name: str) -> Record:
        return self._records.get(name, NEW)

    def _provider(self, config: ProviderConfig, at_ms: int) -> Provider:
        one, today = self._record(config.provider), at_ms // DAY_MS
        return Provider(
            name=config.provider,
            priority=config.priority,
            status=config.status,
            directions=frozenset(config.directions),
            ticket_min=config.ticket_min_cents * MICROS_PER_CENT,
            ticket_max=_micros(config.ticket_max_cents),
            daily_max=_micros(config.daily_max_cents),
            daily_used=sum(amount for day, amount in one.sent.values() if day == today),
            tally=last_of(one.outcomes, self._policy.health) if one.outcomes else Tally(0, 0),
            fee_bps=config.fee_bps,
            breaker=break_on(one.breaker, "asked", at_ms, self._policy.breaker).state,
            eta_seconds=config.eta_seconds,
        )


def _micros(cents: int | None) -> int | None:
    return None if cents is None else cents * MICROS_PER_CENT
