"""The gateway to one account at an exchange: works what is reserved, and tells what the exchange says.

It goes round and round. In a round it takes the next step of each open order and transfer, reads the account's new
events, and reads position and balances last, so that a position covers every fill told before it. What it tells are
messages with the name of their topic:

* fills and cash flows, from the exchange's events;
* each state of each order and transfer, from the record of state changes and not from memory, so that a state that was
  recorded just before a crash is still told after it;
* the position and the balances, on change and at least every second.

Both kinds of history are read by a cursor, (event sequence, change id). Going on from an older cursor tells the same
again with the same ids, which is how nothing is lost between a round and the snapshot of the flow that took it in.

An exchange that does not answer ends the round and nothing else: facts grow old, and what decides on them holds.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from connectors.clock import Clock
from connectors.exchange.port import Exchange, NotFound, Refused, Unknown
from connectors.gateway_messages import (
    balance_message,
    cash_message,
    fill_message,
    position_message,
    report_message,
    says,
)
from domain.errors import InvariantError
from domain.exchange_facts import AccountEvent, Filled, OrderChanged, Refusal, TransferChanged
from domain.execution import (
    Ask,
    ExecutionPolicy,
    FateUnknown,
    Outbox,
    Row,
    Says,
    SaysNotFound,
    Send,
    Sending,
    Settle,
    What,
    Word,
    follow,
    next_step,
)
from domain.messages import HedgeOrder, Message
from domain.topics import VENUE_BALANCES, VENUE_CASHFLOWS, VENUE_FILLS, VENUE_POSITIONS

PAGE = 500
TELL_AGAIN_MS = 1_000

Told = tuple[str, Message]


class Cursor(NamedTuple):
    """How far both histories have been told."""

    event_sequence: int = 0
    change_id: int = 0


DEFAULT_POLICY = ExecutionPolicy()
START = Cursor()


class Round(NamedTuple):
    """What one round tells, and the cursor after it."""

    told: Sequence[Told]
    cursor: Cursor


class _Asked(NamedTuple):
    """What this process remembers of its asking about a row."""

    resumed: bool
    asked_at_ms: int | None = None
    not_found: int = 0


class _LastTold(NamedTuple):
    """The figures of the newest position or balances that were told, and when."""

    told_at_ms: int
    figures: tuple[int, ...]


class VenueGateway:
    """One account. Not thread-safe: one thread goes round; it owns `exchange` and `outbox`."""

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
        self.unreachable_since_ms: int | None = None
        self._exchange = exchange
        self._outbox = outbox
        self._clock = clock
        self._policy = policy
        self._cursor = cursor
        self._asked: dict[tuple[What, str], _Asked] = {}
        self._is_first_round = True
        self._last_facts: dict[str, _LastTold] = {}

    def round(self) -> Round:
        """Go round once. Raises what the outbox raises, and `InvariantError` when the exchange has lost history."""
        told: list[Told] = []
        self._work_open_rows()
        answered = self._try(lambda: self._tell_events(told))
        self._tell_reports(told)
        answered = answered and self._try(lambda: self._tell_facts(told))
        self.unreachable_since_ms = None if answered else self.unreachable_since_ms or self._clock()
        return Round(told, self._cursor)

    def _try(self, part: Callable[[], None]) -> bool:
        """Whether the exchange answered all that this part of a round asked."""
        try:
            part()
        except Unknown:
            return False
        return True

    def close(self) -> None:
        """Give both connections back."""
        self._exchange.close()
        self._outbox.close()

    # ---- open orders and transfers

    def _work_open_rows(self) -> None:
        rows = self._outbox.open_rows(self.venue)
        self._asked = {
            (row.what, row.client_id): self._asked.get((row.what, row.client_id), _Asked(self._is_first_round))
            for row in rows
        }
        self._is_first_round = False
        for row in rows:
            self._work(row._replace(**self._asked[row.what, row.client_id]._asdict()))

    def _work(self, row: Row) -> None:
        step = next_step(row, self._clock(), self._policy)
        if isinstance(step, Send):
            row = self._send(row, step.expires_at_ms)
        elif isinstance(step, Ask):
            row = follow(row, self._look_up(row), self._clock(), self._policy)
        elif isinstance(step, Settle):
            row = row._replace(state=step.state, reason=step.reason)
        else:
            return
        self._asked[row.what, row.client_id] = _Asked(row.resumed, row.asked_at_ms, row.not_found)
        self._outbox.record(row, self._clock())

    def _send(self, row: Row, expires_at_ms: int) -> Row:
        row = follow(row, Sending(), self._clock(), self._policy)
        # Recorded before it leaves: whatever happens next, somebody will ask about it.
        self._outbox.record(row, self._clock())
        return follow(row, self._place(row, expires_at_ms), self._clock(), self._policy)

    def _place(self, row: Row, expires_at_ms: int) -> Word:
        try:
            if isinstance(row.request, HedgeOrder):
                return says(self._exchange.place(row.request, expires_at_ms))
            return says(self._exchange.transfer(row.request, expires_at_ms))
        except Refused as error:
            return Refusal(error.code, error.text)
        except Unknown as error:
            return FateUnknown(str(error))

    def _look_up(self, row: Row) -> Word:
        try:
            if row.what == "order":
                return says(self._exchange.order(row.client_id))
            return says(self._exchange.transfer_state(row.client_id))
        except NotFound:
            return SaysNotFound()
        except Unknown as error:
            return FateUnknown(str(error))

    # ---- events

    def _tell_events(self, told: list[Told]) -> None:
        while events := self._exchange.events(self._cursor.event_sequence, PAGE):
            for event in events:
                told.extend(self._take_in(event))
            self._cursor = self._cursor._replace(event_sequence=events[-1].sequence)
            if len(events) < PAGE:
                break

    def _take_in(self, event: AccountEvent) -> Iterator[Told]:
        if isinstance(event, OrderChanged):
            self._settle("order", event.client_order_id, says(event))
        elif isinstance(event, TransferChanged):
            self._settle("transfer", event.client_transfer_id, says(event))
        elif isinstance(event, Filled):
            yield VENUE_FILLS.name, fill_message(self.venue, event)
        else:
            yield VENUE_CASHFLOWS.name, cash_message(self.venue, event)

    def _settle(self, what: What, client_id: str, word: Says) -> None:
        row = self._outbox.row(what, client_id)
        # None: not ours, such as an order that somebody placed by hand.
        if row is not None:
            now_ms = self._clock()
            self._outbox.record(follow(row, word, now_ms, self._policy), now_ms)

    # ---- facts and reports

    def _tell_facts(self, told: list[Told]) -> None:
        position = self._exchange.position()
        if position.sequence < self._cursor.event_sequence:
            read = self._cursor.event_sequence
            msg = (
                f"{self.venue} is at event {position.sequence}, but event {read} was read from it: this is another "
                "account, or its data was lost; start with a new recovery store"
            )
            raise InvariantError(msg)
        if self._is_news("position", (position.contracts, position.exposure_cents, position.sequence)):
            told.append((VENUE_POSITIONS.name, position_message(self.venue, position)))
        money = self._exchange.balances()
        pockets = (money.trading_equity_sats, money.trading_used_sats, money.funding_sats, money.sequence)
        if self._is_news("balances", pockets):
            told.append((VENUE_BALANCES.name, balance_message(self.venue, money)))

    def _is_news(self, name: str, figures: tuple[int, ...]) -> bool:
        now_ms = self._clock()
        last = self._last_facts.get(name)
        if last and last.figures == figures and now_ms < last.told_at_ms + TELL_AGAIN_MS:
            return False
        self._last_facts[name] = _LastTold(now_ms, figures)
        return True

    def _tell_reports(self, told: list[Told]) -> None:
        while changes := self._outbox.changes(self.venue, self._cursor.change_id, PAGE):
            told.extend(report_message(change) for change in changes)
            self._cursor = self._cursor._replace(change_id=changes[-1].id)
            if len(changes) < PAGE:
                break
