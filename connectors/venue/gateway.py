"""The gateway to one account at an exchange: works what is reserved, and tells what the exchange says.

It goes round and round. In a round it takes the next step of each open order and transfer, reads the account's new
events, and reads position and balances last, so that a position covers every fill told before it. It tells, in this order:

* each state of each order and transfer, from the record of changes and not from memory, so that a state that was recorded
  just before a crash is still told after it; and before any fill that it explains, since an order is recorded before it leaves;
* fills and cash flows, from the exchange's events;
* the position and the balances, on change and at least every second.

Both kinds of history are read by a cursor, (event sequence, change id). Going on from an older cursor tells the same
again with the same ids, which is how nothing is lost between a round and the snapshot of the flow that took it in. Between
rounds it waits for the next poll, or for somebody to reserve something.

An exchange that does not answer ends the round and nothing else: facts grow old, and what decides on them holds. When that
has lasted for some seconds, it is said in the log and as an alert, and again once a minute. What answers with something that
no exchange of ours would say counts as no answer.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import Clock
from connectors.errands import PAGE, Errand, Errands
from connectors.rounds import Round
from connectors.silence import Silence
from connectors.venue.messages import (
    balance_message,
    cash_message,
    fill_message,
    position_message,
    says,
    silence_alert,
)
from connectors.venue.port import Exchange
from domain.errors import InvariantError
from domain.messages.fields import Message
from domain.outbox.kinds import ORDER, TRANSFER
from domain.outbox.lifecycle import DEFAULT_POLICY, ExecutionPolicy, Kind, Outbox
from domain.venue.account import AccountEvent, Filled, OrderChanged, TransferChanged

TELL_AGAIN_MS = 1_000

log = structlog.get_logger()

Cursor = tuple[int, int]
"""How far the events of the exchange and the changes of what was asked of it have been told."""

START: Cursor = (0, 0)


def _errands(exchange: Exchange) -> dict[Kind, Errand]:
    return {
        ORDER: Errand(
            lambda order, expires_at_ms: says(exchange.place(order, expires_at_ms)),
            lambda order: says(exchange.order(order.client_order_id)),
        ),
        TRANSFER: Errand(
            lambda transfer, expires_at_ms: says(exchange.transfer(transfer, expires_at_ms)),
            lambda transfer: says(exchange.transfer_state(transfer.client_transfer_id)),
        ),
    }


class _LastTold(NamedTuple):
    """The figures of the newest position or balances that were told, and when."""

    told_at_ms: int
    figures: tuple[int, ...]


class VenueGateway:
    """One account (a `connectors.rounds.Rounds`). Not thread-safe: one thread goes round; it owns `exchange` and `outbox`."""

    def __init__(
        self,
        venue: str,
        exchange: Exchange,
        outbox: Outbox,
        clock: Clock,
        *,
        policy: ExecutionPolicy = DEFAULT_POLICY,
        cursor: Cursor = START,
    ) -> None:
        self.venue = venue
        self._silence = Silence()
        self._exchange = exchange
        self._outbox = outbox
        self._clock = clock
        self._event_sequence, change_id = cursor
        self._errands = Errands(venue, outbox, clock, policy, _errands(exchange), change_id)
        self._last_facts: dict[str, _LastTold] = {}

    @property
    def unreachable_since_ms(self) -> int | None:
        """When the exchange fell silent, None while it answers."""
        return self._silence.since_ms

    def round(self) -> Round[Message, Cursor]:
        """Go round once. Raises what the outbox raises, and `InvariantError` when the exchange has lost history."""
        events: list[Message] = []
        facts: list[Message] = []
        self._errands.work()
        answered = self._try(lambda: self._tell_events(events))
        reports = list(self._errands.reports())
        answered = answered and self._try(lambda: self._tell_facts(facts))
        silence = self._spoken_of(answered)
        return Round([*reports, *events, *facts, *silence], (self._event_sequence, self._errands.change_id))

    def _try(self, part: Callable[[], None]) -> bool:
        """Whether the exchange answered all that this part of a round asked."""
        try:
            part()
        except (Unknown, NotFound, Refused) as error:
            self._silence.why = str(error)
            return False
        return True

    def _spoken_of(self, answered: bool) -> Iterator[Message]:
        """Yield an alert when it is time to say that the exchange does not answer."""
        now_ms = self._clock()
        since_ms = self._silence.heard(answered=answered, now_ms=now_ms)
        if since_ms is not None:
            alert = silence_alert(self.venue, since_ms, self._silence.why, now_ms)
            log.warning("venue.does_not_answer", venue=self.venue, text=alert.text)
            yield alert

    def wait(self, seconds: float) -> None:
        """Return when something was reserved, after so many seconds at the latest."""
        self._outbox.wait(self.venue, seconds)

    def close(self) -> None:
        """Give both connections back."""
        self._exchange.close()
        self._outbox.close()

    # ---- events

    def _tell_events(self, told: list[Message]) -> None:
        while events := self._exchange.events(self._event_sequence, PAGE):
            for event in events:
                told.extend(self._take_in(event))
            self._event_sequence = events[-1].sequence
            if len(events) < PAGE:
                break

    def _take_in(self, event: AccountEvent) -> Iterator[Message]:
        if isinstance(event, OrderChanged):
            self._errands.settle(ORDER, event.client_order_id, says(event))
        elif isinstance(event, TransferChanged):
            self._errands.settle(TRANSFER, event.client_transfer_id, says(event))
        elif isinstance(event, Filled):
            yield fill_message(self.venue, event)
        else:
            yield cash_message(self.venue, event)

    # ---- facts

    def _tell_facts(self, told: list[Message]) -> None:
        position = self._exchange.position()
        if position.sequence < self._event_sequence:
            msg = (
                f"{self.venue} is at event {position.sequence}, but event {self._event_sequence} was read from it: this is "
                "another account, or its data was lost; start with a new recovery store"
            )
            raise InvariantError(msg)
        if self._is_news("position", (position.contracts, position.exposure_cents, position.sequence)):
            told.append(position_message(self.venue, position))
        money = self._exchange.balances()
        pockets = (money.trading_equity_sats, money.trading_used_sats, money.funding_sats, money.sequence)
        if self._is_news("balances", pockets):
            told.append(balance_message(self.venue, money))

    def _is_news(self, name: str, figures: tuple[int, ...]) -> bool:
        now_ms = self._clock()
        last = self._last_facts.get(name)
        if last and last.figures == figures and now_ms < last.told_at_ms + TELL_AGAIN_MS:
            return False
        self._last_facts[name] = _LastTold(now_ms, figures)
        return True
