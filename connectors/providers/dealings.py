"""The dealings with one provider: its open requests a step further, its words told, and an alert when it is silent.

What is asked of it in a round, and what it says of itself, is told in this order: what became of requests, from the outbox's
record of changes; what it says of conversions, from its own list, so that a conversion which completes after it has failed is
heard of too; alerts. A word that nobody here understands is an alert, and those behind it are told all the same.
"""

from collections.abc import Iterator
from typing import NamedTuple

import structlog

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import Clock
from connectors.errands import PAGE, Errand, Errands
from connectors.providers.port import Provider, Unreadable
from connectors.silence import Silence
from domain.ids import content_id
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.messages.provider import ProviderConfig
from domain.outbox.kinds import CANCEL, CONVERSION
from domain.outbox.lifecycle import ExecutionPolicy, Kind, Outbox, Says
from domain.times import datetime_of
from domain.treasury.conversion import CancelState, ConversionState, event_of

log = structlog.get_logger()


class Told(NamedTuple):
    """How far the words of a provider and the changes of what was asked of it have been told: a triple of the cursor."""

    provider: str
    sequence: int = 0
    change_id: int = 0


class Dealings:
    """One provider as it is configured now. Not thread-safe; it owns `provider`."""

    def __init__(
        self, config: ProviderConfig, provider: Provider, outbox: Outbox, clock: Clock, policy: ExecutionPolicy, told: Told
    ) -> None:
        self.config = config
        self.has_open_requests = False
        self._provider = provider
        self._clock = clock
        self._sequence = told.sequence
        self._silence = Silence()
        # A request that may still be carried out is not given up, whatever the deadline that it carries.
        patient = policy.model_copy(update={"deadline_ms": max(policy.deadline_ms, provider.void_after_ms)})
        self._errands = Errands(told.provider, outbox, clock, patient, _errands(provider), told.change_id)

    @property
    def told(self) -> Told:
        """How far it has been told."""
        return Told(self.config.provider, self._sequence, self._errands.change_id)

    def round(self) -> list[Message]:
        """Go round once, and return what is told. Raises what the outbox raises."""
        self.has_open_requests = self._errands.work() > 0
        words: list[Message] = []
        answered = self._hear(words)
        return [*self._errands.reports(), *words, *self._spoken_of(answered)]

    def close(self) -> None:
        """Give the connection back."""
        self._provider.close()

    def _hear(self, words: list[Message]) -> bool:
        """Take in what the provider says by itself; whether it answered."""
        try:
            while said := self._provider.changes(self._sequence, PAGE):
                words.extend(self._take_in(word) for word in said)
                self._sequence = max(self._sequence, *(word.sequence for word in said))
                if len(said) < PAGE:
                    break
        except (Unknown, NotFound, Refused) as error:
            self._silence.why = str(error)
            return False
        return True

    def _take_in(self, word: ConversionState | Unreadable) -> Message:
        if isinstance(word, Unreadable):
            return unreadable_alert(self.config.provider, word, self._clock())
        self._errands.settle(CONVERSION, word.client_conversion_id, says(word))
        return event_of(self.config.provider, word, "poll")

    def _spoken_of(self, answered: bool) -> Iterator[Message]:
        """Yield an alert when it is time to say that the provider does not answer; of one that is not used, nobody waits."""
        now_ms = self._clock()
        since_ms = self._silence.heard(answered=answered, now_ms=now_ms)
        if since_ms is not None and (self.config.status != "inactive" or self.has_open_requests):
            alert = silence_alert(self.config, since_ms, self._silence.why, now_ms)
            log.warning("provider.does_not_answer", provider=self.config.provider, text=alert.text)
            yield alert


def _errands(provider: Provider) -> dict[Kind, Errand]:
    return {
        CONVERSION: Errand(
            lambda request, expires_at_ms: says(provider.convert(request, expires_at_ms)),
            lambda request: says(provider.conversion(request.client_conversion_id)),
        ),
        CANCEL: Errand(
            lambda request, expires_at_ms: says(provider.cancel(request, expires_at_ms)),
            lambda request: says(provider.ask_cancel(request)),
        ),
    }


def says(state: ConversionState | CancelState) -> Says:
    """Return the provider's word as the outbox takes it."""
    error = state.error if isinstance(state, ConversionState) else None
    return Says(state.state, 0, state.sequence, error)


def silence_alert(config: ProviderConfig, since_ms: int, why: str, now_ms: int) -> Alert:
    """Return the alert that a provider does not answer: one trouble for as long as it lasts."""
    name, since, heard = config.provider, f"{datetime_of(since_ms):%Y-%m-%d %H:%M:%S} UTC", " ".join(why.split())[:200]
    told = f"the provider {name} has not answered since {since} ({heard}), so nothing is sent there and nothing is heard"
    return Alert(
        id=content_id("provider_does_not_answer", name, str(since_ms)),
        severity="critical",
        subject="provider_does_not_answer",
        text=f"{told}; see that it runs at {config.url}, and tell its newest state on provider.config",
        as_of=now_ms,
    )


def unreadable_alert(provider: str, word: Unreadable, now_ms: int) -> Alert:
    """Return the alert that a word of a provider is not understood: the same word is the same trouble."""
    return Alert(
        id=content_id("provider_not_understood", provider, word.id),
        severity="critical",
        subject="provider_not_understood",
        text=f"the provider {provider} says something that is not understood ({word.id}: {word.text[:300]}); look it up there",
        as_of=now_ms,
    )


def unnamed_alert(provider: str, count: int, now_ms: int) -> Alert:
    """Return the alert that requests are open at a provider that no configuration names."""
    return Alert(
        id=content_id("provider_not_configured", provider),
        severity="critical",
        subject="provider_not_configured",
        text=f"{count} requests are open at {provider}, which no configuration names; tell it on provider.config again",
        as_of=now_ms,
    )


def unopened_alert(config: ProviderConfig, why: str, now_ms: int) -> Alert:
    """Return the alert that a provider cannot be dealt with as it is configured and set."""
    return Alert(
        id=content_id("provider_not_opened", config.provider, str(config.as_of)),
        severity="critical",
        subject="provider_not_opened",
        text=f"the provider {config.provider} cannot be asked for anything: {why}",
        as_of=now_ms,
    )
