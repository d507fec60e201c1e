"""The hedging desk of one book: it keeps the newest facts of its liability and its venue, and decides when one changes.

A fact is the liability, the position, the two pockets, the price, or what became of an order or a transfer, and every one
has an age. At most one hedge decision and one funding decision is taken per instant of stream time, from all facts of that
instant; a decision on a fact that is too old is to hold. The desk remembers what it has asked for until it is heard of,
and then until a position that covers it has come.

Decisions are recorded with their inputs, so they need never be computed again. One that repeats the one before in action
and rule is counted, not recorded, unless `record_all` says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from domain.hedging.actions import Action, Hold, Nothing, quantity
from domain.hedging.asked import Asked, Moved, ended, forgotten, reaching
from domain.hedging.facts import Facts, Span, not_fresh, not_from_the_future
from domain.hedging.limits import Seen, usual_cents, with_price
from domain.hedging.policy import Book, VenueFacts
from domain.hedging.rules import KINDS, Kind, decide, decide_by_reference
from domain.ids import client_id, content_id, timed_id
from domain.messages.decisions import Decision
from domain.messages.facts import Correction
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.ledger import LedgerBalance
from domain.messages.market import Tick
from domain.messages.ops import Alert
from domain.messages.venue import OrderReport, TransferReport, VenueBalance, VenuePosition
from domain.outbox.kinds import ORDER, TRANSFER
from domain.outbox.lifecycle import Kind as RequestKind
from domain.streams.records import Record, Snapshot
from domain.times import DAY_MS
from domain.topics import MARKET_TICKS, VENUE_ORDERS, VENUE_POSITIONS, VENUE_TRANSFERS

ON_CHAIN = ("deposit", "withdraw")
SEVERITIES: dict[str, Literal["warning", "critical"]] = {
    "position_unexplained": "critical",
    "price_off_mark": "critical",
    "price_jump": "critical",
    "limit_day_sats_max": "critical",
    "orders_refused": "warning",
    "transfers_refused": "warning",
}
"""Which holds, besides those on stale facts, somebody should look at."""

REQUESTS: dict[str, Kind] = {VENUE_ORDERS.name: "hedge", VENUE_TRANSFERS.name: "funding"}
ALL_FACTS = ("liability", "position", "balance", "price")


class Said(NamedTuple):
    """The last decision of a kind, and how often it was repeated without being recorded."""

    action: str = ""
    rule: str = ""
    repeats: int = 0


Fact = LedgerBalance | VenuePosition | VenueBalance | Tick | OrderReport | TransferReport | Correction
Saying = Decision | HedgeOrder | CollateralTransfer | Alert


class Desk:
    """The desk of one book (a `domain.streams.records.Machine`): facts in; decisions, orders and transfers out.

    `joined` says that the ledger is a step of the same flow, so time comes here only after it has told all its balances: what
    it does not tell of has not changed. Where balances come by a topic, one must be said again to be as good as new.
    """

    def __init__(self, book: Book, snapshot: Snapshot | None = None, *, joined: bool = False) -> None:
        self._book = book
        self._joined = joined
        self._policy = book.policy
        self._facts = Facts()
        self._asked: dict[Kind, Asked] = dict.fromkeys(KINDS, Asked())
        self._said: dict[Kind, Said] = dict.fromkeys(KINDS, Said())
        self._decided_at_ms = 0
        self._moved = Moved()
        self._prices: tuple[Seen, ...] = ()
        # Where the position can be by our own orders; None while an order of an earlier life is open.
        self._span: Span | None = None
        if snapshot is not None:
            facts, asked, said, self._decided_at_ms, moved, prices, self._span = snapshot
            self._facts = Facts.restored(facts)
            self._asked = {kind: Asked(*asked[kind]) for kind in KINDS}
            self._said = {kind: Said(*said[kind]) for kind in KINDS}
            self._moved = Moved(*moved)
            self._prices = tuple(Seen(at_ms, Decimal(cents)) for at_ms, cents in prices)

    def snapshot(self) -> Snapshot:
        """Facts as plain dicts, the rest as tuples."""
        asked = {kind: tuple(word) for kind, word in self._asked.items()}
        said = {kind: tuple(word) for kind, word in self._said.items()}
        prices = tuple((at_ms, str(cents)) for at_ms, cents in self._prices)
        return self._facts.plain(), asked, said, self._decided_at_ms, tuple(self._moved), prices, self._span

    def apply(self, at_ms: int, records: Sequence[Record[Fact]]) -> Iterable[Saying]:
        """Learn the facts of an instant, then decide."""
        for record in records:
            self._learn(not_from_the_future(record.value, at_ms))
        return self._decide(at_ms)

    def wake_at_ms(self) -> int | None:
        """When time alone may change a decision: a fact becomes too old, or a limit on the rate is over."""
        expiries = self._facts.expiries_ms(self._policy.freshness)
        untils = [ms for name, ms in expiries.items() if not (self._joined and name == "liability")]
        asked = [one for one in self._asked.values() if one.asked_at_ms is not None]
        waits = [(one.asked_at_ms or 0) + self._policy.wait_ms(one.refusals) for one in asked]
        moments = (*(ms + 1 for ms in untils if ms is not None), *waits)
        return min((ms for ms in moments if ms > self._decided_at_ms), default=None)

    def wake(self, at_ms: int) -> Iterable[Saying]:
        """Nothing was heard; the passing of time may change the decision all the same."""
        return self._decide(at_ms)

    def _learn(self, value: Fact) -> None:
        match value:
            case LedgerBalance():
                self._facts = self._facts.with_liability(value)
            case VenuePosition():
                self._hear_position(value)
            case VenueBalance():
                self._facts = self._facts.with_balance(value)
            case Tick():
                self._hear_price(value)
            case OrderReport():
                self._hear("hedge", ORDER, value.client_order_id, value.state, value.sequence)
            case TransferReport():
                self._hear("funding", TRANSFER, value.client_transfer_id, value.state, value.sequence)
            case Correction():
                self._forget(value)
        self._settle_span()

    def _forget(self, correction: Correction) -> None:
        """What comes next is believed as the first word of all would be."""
        self._facts = self._facts.without(correction.topic)
        if correction.topic == MARKET_TICKS.name:
            self._prices = ()
        elif correction.topic == VENUE_POSITIONS.name:
            self._span = None
        elif correction.topic in REQUESTS:
            kind = REQUESTS[correction.topic]
            self._asked[kind] = forgotten(self._asked[kind], correction.key)

    def _hear_position(self, word: VenuePosition) -> None:
        facts, doubt_ms = self._facts, self._policy.limits.position_doubt_ms
        is_guarded = self._policy.rules == "guarded"
        self._facts = facts.with_plausible_position(word, self._span, doubt_ms) if is_guarded else facts.with_position(word)

    def _hear_price(self, tick: Tick) -> None:
        before = self._facts.price
        if before is not None:
            self._prices = with_price(self._prices, Seen(before.as_of, before.price_usd * 100), self._policy.limits)
        self._facts = self._facts.with_price(tick)

    def _hear(self, kind: Kind, of: RequestKind, name: str, state: str, sequence: int) -> None:
        asked = self._asked[kind]
        if state in of.last_words:
            if name == asked.open_id and state != of.done:
                self._moved = self._moved._replace(sats=max(0, self._moved.sats - asked.on_chain_sats))
            self._asked[kind] = ended(asked, name, sequence, came_to_nothing=state in (of.refused, of.never))
        elif name not in asked.ended_ids and not 0 < sequence <= asked.finished_sequence:
            # An order of an earlier life that is still open takes the one slot too.
            if kind == "hedge" and asked.open_id is None:
                self._span = None
            self._asked[kind] = asked._replace(open_id=asked.open_id or name)

    def _settle_span(self) -> None:
        """Once the position covers all orders, only new ones can change it."""
        asked, position = self._asked["hedge"], self._facts.position
        if position is not None and asked.open_id is None and position.sequence >= asked.finished_sequence:
            self._span = (position.contracts, position.contracts)

    def _decide(self, at_ms: int) -> list[Saying]:
        self._decided_at_ms = at_ms
        if self._joined:
            self._facts = self._facts.with_liability_unchanged(at_ms)
        return [said for kind in KINDS for said in self._decide_kind(kind, at_ms)]

    def _decide_kind(self, kind: Kind, at_ms: int) -> Iterator[Saying]:
        action = self._action(kind, at_ms)
        said, asks = self._said[kind], not isinstance(action, Nothing | Hold)
        if (action.name, action.rule) == said[:2] and not asks and not self._book.record_all:
            self._said[kind] = said._replace(repeats=said.repeats + 1)
            return
        self._said[kind] = Said(action.name, action.rule)
        decision = self._recorded(kind, action, at_ms, said.repeats)
        yield decision
        if decision.action == "hold" and (severity := _severity(action.rule)):
            yield _held(decision, severity)
        if asks:
            yield self._request(kind, decision, at_ms)

    def _action(self, kind: Kind, at_ms: int) -> Action:
        needed = ("liability", "position") if kind == "hedge" and self._policy.rules == "reference" else ALL_FACTS
        held = self._doubt() or not_fresh(self._facts, needed, at_ms, self._policy.freshness)
        return held or decide(kind, self._venue_facts(at_ms), self._policy)

    def _doubt(self) -> Hold | None:
        position, doubted = self._facts.position, self._facts.doubted
        if doubted is None or position is None:
            return None
        what = f"the venue says {doubted.contracts} contracts after {position.contracts}"
        return Hold(
            "position_unexplained", f"{what} (event {doubted.sequence} after {position.sequence}), and no order explains it"
        )

    def _venue_facts(self, at_ms: int) -> VenueFacts:
        facts, hedge, funding = self._facts, self._asked["hedge"], self._asked["funding"]
        return VenueFacts(
            now_ms=at_ms,
            liability_cents=facts.liability_cents,
            exposure_cents=facts.exposure_cents,
            collateral_sats=facts.collateral_sats,
            funding_sats=facts.funding_sats,
            price_cents=facts.price_cents,
            order_in_flight=hedge.open_id is not None,
            transfer_in_flight=funding.open_id is not None,
            position_sequence=facts.position_sequence,
            balance_sequence=facts.balance_sequence,
            last_order_sequence=hedge.finished_sequence,
            last_transfer_sequence=funding.finished_sequence,
            last_order_at_ms=hedge.asked_at_ms,
            last_transfer_at_ms=funding.asked_at_ms,
            orders_refused=hedge.refusals,
            transfers_refused=funding.refusals,
            mark_cents=facts.mark_cents,
            usual_price_cents=usual_cents(self._prices),
            moved_today_sats=self._moved.on(at_ms),
        )

    def _recorded(self, kind: Kind, action: Action, at_ms: int, repeats: int) -> Decision:
        amount, unit = quantity(action)
        book, policy, inputs = self._book, self._policy, self._facts.recorded()
        inputs |= {
            "order_in_flight": self._asked["hedge"].open_id,
            "transfer_in_flight": self._asked["funding"].open_id,
            "orders_refused": self._asked["hedge"].refusals,
            "transfers_refused": self._asked["funding"].refusals,
            "moved_today_sats": self._moved.on(at_ms),
            "usual_price_usd": _usd(usual_cents(self._prices)),
        }
        return Decision(
            id=timed_id(at_ms, kind, book.venue, action.name, str(amount), repr(sorted(inputs.items()))),
            kind=kind,
            book=book.name,
            venue=book.venue,
            policy=policy.rules,
            policy_version=policy.version,
            action=action.name,
            rule=action.rule,
            reason=action.reason,
            amount=amount,
            unit=unit,
            inputs=inputs,
            refused=self._refused(kind, action, at_ms),
            repeats=repeats,
            as_of=at_ms,
        )

    def _refused(self, kind: Kind, action: Action, at_ms: int) -> list[str]:
        """What the reference system would have done on the same facts, where that is something else."""
        if self._policy.rules == "reference" or not_fresh(self._facts, ALL_FACTS, 0, self._policy.freshness):
            return []
        other = decide_by_reference(kind, self._venue_facts(at_ms), self._policy)
        (amount, unit), ours = quantity(other), quantity(action)
        if (other.name, amount) == (action.name, ours[0]):
            return []
        much = "" if unit == "none" else f" {amount} {unit}"
        return [f"reference: {other.name}{much} ({other.rule}), since {other.reason}; refused by {action.rule}"]

    def _request(self, kind: Kind, decision: Decision, at_ms: int) -> HedgeOrder | CollateralTransfer:
        name = client_id(decision.id)
        on_chain_sats = decision.amount if decision.action in ON_CHAIN else 0
        self._asked[kind] = self._asked[kind]._replace(open_id=name, asked_at_ms=at_ms, on_chain_sats=on_chain_sats)
        self._moved = Moved(at_ms // DAY_MS, self._moved.on(at_ms) + on_chain_sats)
        if kind == "hedge":
            self._span = reaching(self._span, decision.amount)
        make = _order if kind == "hedge" else _transfer
        return make(decision, name, self._facts)


def _severity(rule: str) -> Literal["warning", "critical"] | None:
    return "warning" if rule.startswith("stale_") else SEVERITIES.get(rule)


def _held(decision: Decision, severity: Literal["warning", "critical"]) -> Alert:
    name = content_id("held", decision.venue, decision.kind, decision.rule)
    subject = "stale_fact" if decision.rule.startswith("stale_") else decision.rule
    text = f"{decision.kind} at {decision.venue} is on hold: {decision.reason}"
    return Alert(id=name, severity=severity, subject=subject, text=text, as_of=decision.as_of)


def _usd(cents: Decimal | None) -> str | None:
    return None if cents is None else str(cents / 100)


def _order(decision: Decision, name: str, facts: Facts) -> HedgeOrder:
    return HedgeOrder(
        decision_id=decision.id,
        client_order_id=name,
        venue=decision.venue,
        action=decision.action,  # type: ignore[arg-type]
        contracts=decision.amount,
        based_on_sequence=facts.position_sequence,
        as_of=decision.as_of,
    )


def _transfer(decision: Decision, name: str, facts: Facts) -> CollateralTransfer:
    return CollateralTransfer(
        decision_id=decision.id,
        client_transfer_id=name,
        venue=decision.venue,
        kind=decision.action,  # type: ignore[arg-type]
        amount_sats=decision.amount,
        based_on_sequence=facts.balance_sequence,
        as_of=decision.as_of,
    )
