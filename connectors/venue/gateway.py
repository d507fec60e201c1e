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

from connectors.clock import Clock
from connectors.rounds import Round
from connectors.venue.messages import (
    balance_message,
    cash_message,
    fill_message,
    position_message,
    says,
    silence_alert,
)
from connectors.venue.port import Exchange, NotFound, Refused, Unknown
from domain.errors import InvariantError
from domain.messages.fields import Message
from domain.outbox.kinds import ORDER, TRANSFER, report_of
from domain.outbox.lifecycle import (
    DEFAULT_POLICY,
    Ask,
    ExecutionPolicy,
    FateUnknown,
    Kind,
    Outbox,
    Row,
    Says,
    SaysNotFound,
    Send,
    Sending,
    Settle,
    Word,
    follow,
    next_step,
)
from domain.venue.account import AccountEvent, Filled, OrderChanged, OrderState, Refusal, TransferChanged, TransferState

PAGE = 500
TELL_AGAIN_MS = 1_000

SILENT_MS, SAY_SILENT_MS = 10_000, 60_000
"""An exchange that has not answered for so long is spoken of, and again every so often while that lasts."""

log = structlog.get_logger()

Cursor = tuple[int, int]
"""How far the events of the exchange and the changes of what was asked of it have been told."""

START: Cursor = (0, 0)


class _Errand(NamedTuple):
    """How a kind of request is sent to an exchange, with a deadline in epoch milliseconds, and how it is asked about."""

    send: Callable[..., OrderState | TransferState]
    ask: Callable[[str], OrderState | TransferState]


def _errands(exchange: Exchange) -> dict[Kind, _Errand]:
    return {
        ORDER: _Errand(exchange.place, exchange.order),
        TRANSFER: _Errand(exchange.transfer, exchange.transfer_state),
    }


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
        self.unreachable_since_ms: int | None = None
        self._no_answer = ""
        self._say_silent_at_ms = 0
        self._exchange = exchange
        self._errands = _errands(exchange)
        self._outbox = outbox
        self._clock = clock
        self._policy = policy
        self._event_sequence, self._change_id = cursor
        self._asked: dict[tuple[Kind, str], _Asked] = {}
        self._is_first_round = True
        self._last_facts: dict[str, _LastTold] = {}

    def round(self) -> Round[Message, Cursor]:
        """Go round once. Raises what the outbox raises, and `InvariantError` when the exchange has lost history."""
        reports: list[Message] = []
        events: list[Message] = []
        facts: list[Message] = []
        self._work_open_rows()
        answered = self._try(lambda: self._tell_events(events))
        self._tell_reports(reports)
        answered = answered and self._try(lambda: self._tell_facts(facts))
        silence = self._silence(answered)
        return Round([*reports, *events, *facts, *silence], (self._event_sequence, self._change_id))

    def _try(self, part: Callable[[], None]) -> bool:
        """Whether the exchange answered all that this part of a round asked."""
        try:
            part()
        except (Unknown, NotFound, Refused) as error:
            self._no_answer = str(error)
            return False
        return True

    def _silence(self, answered: bool) -> Iterator[Message]:
        """Yield an alert when it is time to say that the exchange does not answer."""
        now_ms = self._clock()
        if answered:
            self.unreachable_since_ms = None
            return
        if self.unreachable_since_ms is None:
            self.unreachable_since_ms, self._say_silent_at_ms = now_ms, now_ms + SILENT_MS
        if now_ms >= self._say_silent_at_ms:
            self._say_silent_at_ms = now_ms + SAY_SILENT_MS
            alert = silence_alert(self.venue, self.unreachable_since_ms, self._no_answer, now_ms)
            log.warning("venue.does_not_answer", venue=self.venue, text=alert.text)
            yield alert

    def wait(self, seconds: float) -> None:
        """Return when something was reserved, after so many seconds at the latest."""
        self._outbox.wait(self.venue, seconds)

    def close(self) -> None:
        """Give both connections back."""
        self._exchange.close()
        self._outbox.close()

    # ---- open orders and transfers

    def _work_open_rows(self) -> None:
        rows = self._outbox.open_rows(self.venue)
        found = _Asked(self._is_first_round)
        self._asked = {(row.kind, row.client_id): self._asked.get((row.kind, row.client_id), found) for row in rows}
        self._is_first_round = False
        for row in rows:
            self._work(row._replace(**self._asked[row.kind, row.client_id]._asdict()))

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
        self._asked[row.kind, row.client_id] = _Asked(row.resumed, row.asked_at_ms, row.not_found)
        self._outbox.record(row, self._clock())

    def _send(self, row: Row, expires_at_ms: int) -> Row:
        row = follow(row, Sending(), self._clock(), self._policy)
        # Recorded before it leaves: whatever happens next, somebody will ask about it.
        self._outbox.record(row, self._clock())
        return follow(row, self._place(row, expires_at_ms), self._clock(), self._policy)

    def _place(self, row: Row, expires_at_ms: int) -> Word:
        try:
            return says(self._errands[row.kind].send(row.request, expires_at_ms))
        except Refused as error:
            return Refusal(error.code, error.text)
        except Unknown as error:
            return FateUnknown(str(error))

    def _look_up(self, row: Row) -> Word:
        try:
            return says(self._errands[row.kind].ask(row.client_id))
        except NotFound:
            return SaysNotFound()
        except Unknown as error:
            return FateUnknown(str(error))

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
            self._settle(ORDER, event.client_order_id, says(event))
        elif isinstance(event, TransferChanged):
            self._settle(TRANSFER, event.client_transfer_id, says(event))
        elif isinstance(event, Filled):
            yield fill_message(self.venue, event)
        else:
            yield cash_message(self.venue, event)

    def _settle(self, kind: Kind, client_id: str, word: Says) -> None:
        row = self._outbox.row(kind, client_id)
        # None: not ours, such as an order that somebody placed by hand.
        if row is not None:
            now_ms = self._clock()
            self._outbox.record(follow(row, word, now_ms, self._policy), now_ms)

    # ---- facts and reports

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

    def _tell_reports(self, told: list[Message]) -> None:
        while changes := self._outbox.changes(self.venue, self._change_id, PAGE):
            told.extend(report_of(change) for change in changes)
            self._change_id = changes[-1].id
            if len(changes) < PAGE:
                break
