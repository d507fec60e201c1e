"""The hedging desk of one venue account: keeps the newest facts, and decides whenever one has changed.

A fact is the liability, the position, the two pockets, the price, or what became of an order or a transfer, and every one
has an age. At most one hedge decision and one funding decision is taken per instant of stream time, from all facts of that
instant; a decision on a fact that is too old is to hold. The desk remembers what it has asked for until it is heard of,
and then until a position that covers it has come.

Decisions are recorded with their inputs, so they need never be computed again. One that repeats the one before in action
and rule is counted, not recorded, unless `record_all` says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from domain.accounts import LIABILITY
from domain.actions import Action, Hold, Nothing, quantity
from domain.facts import Facts, Freshness, not_fresh, not_from_the_future
from domain.funding import decide_funding_reference
from domain.guarded import GuardedPolicy, VenueFacts
from domain.guarded_funding import decide_funding_guarded
from domain.guarded_hedging import decide_hedge_guarded
from domain.hedging import decide_hedge_reference
from domain.ids import client_id, content_id, timed_id
from domain.messages import (
    AMOUNT_MAX,
    Alert,
    CollateralTransfer,
    Decision,
    HedgeOrder,
    LedgerBalance,
    OrderReport,
    Tick,
    TransferReport,
    VenueBalance,
    VenuePosition,
)
from domain.money import btc_from_sats
from domain.streams import Record

Kind = Literal["hedge", "funding"]
KINDS: tuple[Kind, ...] = ("hedge", "funding")
FINAL = frozenset(("refused", "filled", "canceled", "rejected", "not_placed", "done", "failed", "not_sent"))
ALL_FACTS = ("liability", "position", "balance", "price")


class Asked(NamedTuple):
    """What the desk knows of its orders, or of its transfers: the open one, how far the last that ended reaches, and when
    it last asked."""

    open_id: str | None = None
    finished_sequence: int = 0
    asked_at_ms: int | None = None


class Said(NamedTuple):
    """The last decision of a kind, and how often it was repeated without being recorded."""

    action: str = ""
    rule: str = ""
    repeats: int = 0


class DeskPolicy(NamedTuple):
    """Whose desk it is, and how it decides. `reference` decides with the bands of `limits` alone."""

    venue: str
    name: Literal["guarded", "reference"] = "guarded"
    limits: GuardedPolicy = GuardedPolicy()
    freshness: Freshness = Freshness()
    record_all: bool = False
    version: int = 1


class Desk:
    """A state machine (`domain.streams.Machine`): facts in; decisions, orders and transfers out."""

    version = 1

    def __init__(self, policy: DeskPolicy, snapshot: tuple[Any, ...] | None = None) -> None:
        self._policy = policy
        self._facts = Facts()
        self._asked: dict[Kind, Asked] = dict.fromkeys(KINDS, Asked())
        self._said: dict[Kind, Said] = dict.fromkeys(KINDS, Said())
        self._decided_at_ms = 0
        if snapshot is not None:
            facts, asked, said, self._decided_at_ms = snapshot
            self._facts = Facts.restored(facts)
            self._asked = {kind: Asked(*asked[kind]) for kind in KINDS}
            self._said = {kind: Said(*said[kind]) for kind in KINDS}

    def snapshot(self) -> tuple[Any, ...]:
        """Facts as plain dicts, the rest as tuples."""
        asked = {kind: tuple(word) for kind, word in self._asked.items()}
        said = {kind: tuple(word) for kind, word in self._said.items()}
        return self._facts.plain(), asked, said, self._decided_at_ms

    def apply(self, at_ms: int, records: Sequence[Record]) -> Iterable[Any]:
        """Learn the facts of an instant, then decide."""
        for record in records:
            self._learn(not_from_the_future(record.value, at_ms))
        return self._decide(at_ms)

    def wake_at_ms(self) -> int | None:
        """When time alone may change a decision: a fact becomes too old, or a limit on the rate is over."""
        untils = self._facts.expiries_ms(self._policy.freshness).values()
        interval_ms = self._policy.limits.order_interval_min_ms
        asks = (asked.asked_at_ms for asked in self._asked.values())
        moments = (*(ms + 1 for ms in untils if ms is not None), *(ms + interval_ms for ms in asks if ms is not None))
        return min((ms for ms in moments if ms > self._decided_at_ms), default=None)

    def wake(self, at_ms: int) -> Iterable[Any]:
        """Nothing was heard; the passing of time may change the decision all the same."""
        return self._decide(at_ms)

    def _learn(self, value: Any) -> None:
        match value:
            case LedgerBalance() if (value.account, value.currency) == LIABILITY:
                self._facts = self._facts.with_liability(value)
            case VenuePosition() if value.venue == self._policy.venue:
                self._facts = self._facts.with_position(value)
            case VenueBalance() if value.venue == self._policy.venue:
                self._facts = self._facts.with_balance(value)
            case Tick():
                self._facts = self._facts.with_price(value)
            case OrderReport() if value.venue == self._policy.venue:
                self._hear("hedge", value.client_order_id, value.state, value.sequence)
            case TransferReport() if value.venue == self._policy.venue:
                self._hear("funding", value.client_transfer_id, value.state, value.sequence)
            case _:
                pass

    def _hear(self, kind: Kind, name: str, state: str, sequence: int) -> None:
        asked = self._asked[kind]
        if state not in FINAL:
            # An order of an earlier life that is still open takes the one slot too.
            self._asked[kind] = asked._replace(open_id=asked.open_id or name)
            return
        open_id = None if asked.open_id == name else asked.open_id
        self._asked[kind] = asked._replace(open_id=open_id, finished_sequence=max(asked.finished_sequence, sequence))

    def _decide(self, at_ms: int) -> list[Any]:
        self._decided_at_ms = at_ms
        return [said for kind in KINDS for said in self._decide_kind(kind, at_ms)]

    def _decide_kind(self, kind: Kind, at_ms: int) -> Iterator[Any]:
        action = self._action(kind, at_ms)
        said, asks = self._said[kind], not isinstance(action, Nothing | Hold)
        if (action.name, action.rule) == said[:2] and not asks and not self._policy.record_all:
            self._said[kind] = said._replace(repeats=said.repeats + 1)
            return
        self._said[kind] = Said(action.name, action.rule)
        decision = self._recorded(kind, action, at_ms, said.repeats)
        yield decision
        if action.rule.startswith("stale_"):
            yield _stale(decision)
        if asks:
            yield self._request(kind, decision, at_ms)

    def _action(self, kind: Kind, at_ms: int) -> Action:
        needed = ("liability", "position") if kind == "hedge" and self._policy.name == "reference" else ALL_FACTS
        action = not_fresh(self._facts, needed, at_ms, self._policy.freshness) or self._policy_says(kind, at_ms)
        if abs(quantity(action)[0]) > AMOUNT_MAX:
            return Hold("amount_unusable", f"{action.name} of more than {AMOUNT_MAX} cannot be meant")
        return action

    def _policy_says(self, kind: Kind, at_ms: int) -> Action:
        if self._policy.name == "reference":
            return self._reference_says(kind)
        asked_at_ms = self._asked[kind].asked_at_ms
        limits, facts = self._policy.limits, self._venue_facts(at_ms)
        if kind == "hedge":
            return decide_hedge_guarded(facts, limits)
        action = decide_funding_guarded(facts, limits)
        too_soon = asked_at_ms is not None and at_ms - asked_at_ms < limits.order_interval_min_ms
        if too_soon and not isinstance(action, Nothing | Hold):
            return Hold("transfer_rate", f"the last transfer is less than {limits.order_interval_min_ms} ms ago")
        return action

    def _reference_says(self, kind: Kind) -> Action:
        if self._asked[kind].open_id is not None:
            return Hold("slot_taken", "the one slot is taken by what is in flight")
        return self._reference_decides(kind)

    def _reference_decides(self, kind: Kind) -> Action:
        facts, limits = self._facts, self._policy.limits
        if kind == "hedge":
            return decide_hedge_reference(facts.liability_cents, facts.exposure_cents, limits.hedge)
        return decide_funding_reference(
            facts.liability_cents,
            facts.exposure_cents,
            btc_from_sats(facts.collateral_sats),
            facts.price_cents,
            btc_from_sats(facts.funding_sats),
            limits.funding,
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
        )

    def _recorded(self, kind: Kind, action: Action, at_ms: int, repeats: int) -> Decision:
        amount, unit = quantity(action)
        policy, inputs = self._policy, self._facts.recorded()
        inputs |= {
            "order_in_flight": self._asked["hedge"].open_id,
            "transfer_in_flight": self._asked["funding"].open_id,
        }
        return Decision(
            id=timed_id(at_ms, kind, policy.venue, action.name, str(amount), repr(sorted(inputs.items()))),
            kind=kind,
            venue=policy.venue,
            policy=policy.name,
            policy_version=policy.version,
            action=action.name,
            rule=action.rule,
            reason=action.reason,
            amount=amount,
            unit=unit,
            inputs=inputs,
            refused=self._refused(kind, action),
            repeats=repeats,
            as_of=at_ms,
        )

    def _refused(self, kind: Kind, action: Action) -> list[str]:
        """What the reference system would have done on the same facts, where that is something else."""
        if self._policy.name == "reference" or not_fresh(self._facts, ALL_FACTS, 0, self._policy.freshness):
            return []
        other = self._reference_decides(kind)
        (amount, unit), ours = quantity(other), quantity(action)
        if (other.name, amount) == (action.name, ours[0]):
            return []
        much = "" if unit == "none" else f" {amount} {unit}"
        return [f"reference: {other.name}{much} ({other.rule}), since {other.reason}; refused by {action.rule}"]

    def _request(self, kind: Kind, decision: Decision, at_ms: int) -> HedgeOrder | CollateralTransfer:
        name = client_id(decision.id)
        self._asked[kind] = self._asked[kind]._replace(open_id=name, asked_at_ms=at_ms)
        make = _order if kind == "hedge" else _transfer
        return make(decision, name, self._facts)


def _stale(decision: Decision) -> Alert:
    name = content_id("stale", decision.venue, decision.kind, decision.rule)
    text = f"{decision.kind} at {decision.venue} is on hold: {decision.reason}"
    return Alert(id=name, severity="warning", subject="stale_fact", text=text, as_of=decision.as_of)


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
