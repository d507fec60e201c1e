"""What would have had to be otherwise for another decision: a recorded decision is taken again, with one input moved at a time.

First with its inputs as they were recorded, which has to give what was recorded. Where it does not, the decision depended on
something that its inputs do not name, such as when the last order was asked for; then nothing is said of what would have changed
it, but why that cannot be said.

Then each amount is moved by itself, up and down, until action or rule is another one: by 1, 2, 4, 8 … of its smallest units, so
that what is near is found first, and down to nothing; then back by halves between the last two. That finds a boundary, with the
recorded answer one unit before it; where an answer comes and goes as the amount grows, there may be a nearer one between two
probes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from domain.hedging.actions import Action, quantity
from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.rules import KINDS, Kind, decide
from domain.messages.decisions import Decision

MOVED_MAX = 10**12
"""An amount is moved by so many units at most, or by twice itself if that is more."""

NEEDED = frozenset(
    (
        *("liability_cents", "exposure_cents", "trading_equity_sats", "funding_sats", "price_usd", "mark_price_usd"),
        *("order_in_flight", "transfer_in_flight", "position_sequence", "balance_sequence"),
        *("usual_price_usd", "moved_today_sats"),
    )
)
"""What is read of the inputs of a decision."""

_PLACE_UNNAMED = "which event its last request ended with is not among its inputs"
_TIME_UNNAMED = "when the last request was made is not among its inputs"
UNNAMED = {
    "position_unexplained": "where its own orders can have led the position is not among its inputs",
    "position_behind_order": _PLACE_UNNAMED,
    "balance_behind_transfer": _PLACE_UNNAMED,
    "outflow_position_behind_order": _PLACE_UNNAMED,
    "order_rate": _TIME_UNNAMED,
    "transfer_rate": _TIME_UNNAMED,
    "orders_refused": _TIME_UNNAMED,
    "transfers_refused": _TIME_UNNAMED,
    "order_in_flight": "it waited for an order under way, whatever the amounts were",
    "transfer_in_flight": "it waited for a transfer under way, whatever the amounts were",
    "slot_taken": "it waited for what was under way, whatever the amounts were",
}
"""By rule: why its decision does not follow from its amounts."""


class Shift(NamedTuple):
    """One input moved by itself: from its recorded value to the first one found with another answer, and that answer."""

    name: str
    value: Decimal
    moved_to: Decimal
    action: str
    rule: str

    @property
    def share(self) -> Decimal:
        """How far it was moved, as a share of its value; of a value of nothing, in units."""
        return abs(self.moved_to - self.value) / (abs(self.value) or 1)


class Nearest(NamedTuple):
    """The shifts that were found by bisection, the relatively smallest first; or why none can be told."""

    shifts: tuple[Shift, ...] = ()
    undecidable: str | None = None


class _Input(NamedTuple):
    """An input that can be moved: its name, its value, its smallest unit, and the facts with another value in its place."""

    name: str
    value: Decimal
    unit: Decimal
    put: Callable[[Decimal], VenueFacts]


def facts_of(decision: Decision) -> VenueFacts:
    """Return what a decision was taken on, as far as it is recorded; what is not is as it was if nothing was held for it."""
    told = decision.inputs
    return VenueFacts(
        now_ms=decision.as_of,
        liability_cents=told["liability_cents"],
        exposure_cents=told["exposure_cents"],
        collateral_sats=told["trading_equity_sats"] or 0,
        funding_sats=told["funding_sats"] or 0,
        price_cents=_cents(told, "price_usd") or Decimal(0),
        order_in_flight=told["order_in_flight"] is not None,
        transfer_in_flight=told["transfer_in_flight"] is not None,
        position_sequence=told["position_sequence"] or 0,
        balance_sequence=told["balance_sequence"] or 0,
        mark_cents=_cents(told, "mark_price_usd"),
        usual_price_cents=_cents(told, "usual_price_usd"),
        moved_today_sats=told["moved_today_sats"],
    )


def _cents(told: Mapping[str, Any], name: str) -> Decimal | None:
    return None if told[name] is None else Decimal(told[name]) * 100


def nearest(decision: Decision, policy: Policy) -> Nearest:
    """Return the smallest changes of single inputs, by bisection, that would have made another decision of a recorded one."""
    kind = _kind_of(decision)
    if kind is None:
        return Nearest(undecidable=f"nothing is known of how {decision.kind} is decided")
    why = _why_not(decision)
    if why is not None:
        return Nearest(undecidable=why)
    facts = facts_of(decision)
    again = decide(kind, facts, policy)
    if (again.name, again.rule, quantity(again)[0]) != (decision.action, decision.rule, decision.amount):
        told = f"{again.name} by {again.rule}"
        return Nearest(
            undecidable=f"decided again on its inputs alone it would be {told}: it depended on something else too"
        )
    found = [shift for one in _inputs(decision, facts) for shift in _shifts(one, again, lambda at: decide(kind, at, policy))]
    return Nearest(tuple(sorted(found, key=lambda shift: shift.share)))


def _kind_of(decision: Decision) -> Kind | None:
    return next((kind for kind in KINDS if kind == decision.kind), None)


def _why_not(decision: Decision) -> str | None:
    missing = sorted(NEEDED - decision.inputs.keys())
    if missing:
        return f"{missing[0]} is not among its inputs"
    if decision.action == "hold" and decision.rule.startswith(("stale_", "no_")) and decision.rule != "no_collateral":
        return "it waited for a fact that was missing or too old, whatever the amounts were"
    return UNNAMED.get(decision.rule)


def _inputs(decision: Decision, facts: VenueFacts) -> Iterator[_Input]:
    """Yield what can be moved, amounts by one and the price by its last place; what had not been heard of stays so."""
    told, one = decision.inputs, Decimal(1)
    yield _Input("liability_cents", Decimal(facts.liability_cents), one, lambda to: replace(facts, liability_cents=int(to)))
    yield _Input("exposure_cents", Decimal(facts.exposure_cents), one, lambda to: replace(facts, exposure_cents=int(to)))
    if told["trading_equity_sats"] is not None:
        sats = Decimal(facts.collateral_sats)
        yield _Input("trading_equity_sats", sats, one, lambda to: replace(facts, collateral_sats=int(to)))
        yield _Input("funding_sats", Decimal(facts.funding_sats), one, lambda to: replace(facts, funding_sats=int(to)))
    if told["price_usd"] is not None:
        price_usd = Decimal(told["price_usd"])
        last_place = one.scaleb(min(0, int(price_usd.as_tuple().exponent)))
        yield _Input("price_usd", price_usd, last_place, lambda to: replace(facts, price_cents=to * 100))


def _shifts(one: _Input, recorded: Action, answer: Callable[[VenueFacts], Action]) -> Iterator[Shift]:
    """Yield where the answer is another one, above and below the recorded value."""
    size = int(abs(one.value) / one.unit)
    for step in (one.unit, -one.unit):

        def differs(units: int, step: Decimal = step) -> bool:
            return _differs(answer(one.put(one.value + units * step)), recorded)

        units = boundary(differs, probes(size))
        if units is not None:
            moved_to = one.value + units * step
            other = answer(one.put(moved_to))
            yield Shift(one.name, one.value, moved_to, other.name, other.rule)


def _differs(action: Action, recorded: Action) -> bool:
    return (action.name, action.rule) != (recorded.name, recorded.rule)


def probes(size: int) -> list[int]:
    """Return where an amount of a size is tried: powers of two up to the bound, the bound, and itself, which leads to nothing."""
    most = max(2 * size, MOVED_MAX)
    return sorted({1 << power for power in range(most.bit_length())} | {most} | ({size} if size else set()))


def boundary(differs: Callable[[int], bool], probes: Iterable[int]) -> int | None:
    """Return a number that differs while the one before it does not, or is 0; None if no probe differs.

    Found is the first probe that differs, and from there on by halves: of a predicate that stays true it is the least.
    """
    near = 0
    for far in probes:
        if differs(far):
            return _between(differs, near, far)
        near = far
    return None


def _between(differs: Callable[[int], bool], near: int, far: int) -> int:
    while far - near > 1:
        middle = (near + far) // 2
        near, far = (near, middle) if differs(middle) else (middle, far)
    return far
