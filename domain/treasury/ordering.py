"""What a whole group of buffers needs: a decision per buffer, and the jobs that carry it out.

Buffers are looked at one after the other, the emptiest first, and what is ordered for one counts for the next. So opposite
needs meet before anything is converted twice: what is too much in one buffer goes where it is missing, and only what is left
after that is proposed to be swept. Amounts are in micro-dollars, orders in whole cents, since a bank has no less.

Source: the treasury's document §7.4, steps 2 to 11.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from domain.messages.treasury import BufferName, JobCause
from domain.treasury.buffer import Buffer, Status, missing, status
from domain.treasury.caps import Acted, room
from domain.treasury.decide import BufferDecision, How, Leg, decide_buffer, may_give
from domain.treasury.fees import BASIS_POINTS, fee_of, gross_up
from domain.treasury.policy import Rules, TreasuryPolicy
from domain.treasury.selection import Direction, Provider, Selection, Slice, Wish, select
from domain.treasury.worth import CURRENCY_OF, MICROS_PER_CENT, SOURCES_OF, dollars

Buffers = Mapping[BufferName, Buffer]

URGENCY: Mapping[Status, int] = {"CRITICAL_LOW": 0, "BELOW_TARGET": 1, "HEALTHY": 2, "OVER_CAPITALIZED": 3}


class Means(NamedTuple):
    """What a group has to carry a decision out: who converts, what was ordered lately, when a buffer would be empty."""

    now_ms: int
    providers: Sequence[Provider]
    acted: Sequence[Acted]
    within_seconds: Mapping[BufferName, int] = {}


class Wanted(NamedTuple):
    """A job that is to be ordered, in micro-dollars: what leaves the source, and what should arrive."""

    cause: JobCause
    source: BufferName
    destination: BufferName
    amount: int
    expected: int
    awaits_approval: bool


class Evaluated(NamedTuple):
    """What was decided about a buffer, what is to be ordered, and what was refused on the way, with reasons.

    `group` is what was known of all buffers then, with what was just ordered for others.
    """

    group: Buffers
    buffer: Buffer
    decision: BufferDecision
    wanted: Sequence[Wanted]
    refused: Sequence[str]


def direction_of(source: BufferName, destination: BufferName) -> Direction:
    """Return what a provider has to be able to do."""
    directions: Mapping[tuple[str, str], Direction] = {
        ("USDC", "USD"): "usdc_to_usd",
        ("USD", "USDC"): "usd_to_usdc",
        ("USD", "USD"): "usd_to_usd",
    }
    return directions[CURRENCY_OF[source], CURRENCY_OF[destination]]


def evaluate(buffers: Buffers, means: Means, rules: Rules, policy: TreasuryPolicy) -> Iterator[Evaluated]:
    """Yield what is decided about each buffer, the emptiest first; of equal ones by name."""
    known = dict(buffers)
    acted = list(means.acted)
    for name in sorted(known, key=lambda one: (URGENCY[status(known[one].position, known[one].thresholds)], one)):
        done = evaluate_one(name, known, means._replace(acted=acted), rules, policy)
        yield done
        for want in done.wanted:
            known = after(known, want)
            acted.append(Acted(means.now_ms, want.amount))


def evaluate_one(name: BufferName, buffers: Buffers, means: Means, rules: Rules, policy: TreasuryPolicy) -> Evaluated:
    """Return what is decided about one buffer of a group."""
    buffer = buffers[name]
    sources = [buffers[source] for source in SOURCES_OF[name] if source in buffers]
    decision = decide_buffer(buffer, sources, rules.buffer_policy)
    if decision.action == "SWEEP_SUGGESTED":
        return _swept(name, buffers, decision, means, rules, policy)
    cause: JobCause = "emergency" if decision.is_emergency else "buffer_replenishment"
    wanted, refused = list[Wanted](), list[str]()
    for leg in decision.legs:
        ordered, why = _ordered(leg, name, buffers, means, rules, policy, cause)
        wanted += ordered
        refused += why
    return Evaluated(buffers, buffer, decision, wanted, refused)


def after(buffers: Buffers, want: Wanted) -> dict[BufferName, Buffer]:
    """Return the buffers when something is ordered: promised by its source, on its way to its destination."""
    source, destination = buffers[want.source], buffers[want.destination]
    return {
        **buffers,
        want.source: source._replace(reserved=source.reserved + want.amount),
        want.destination: destination._replace(in_flight=destination.in_flight + want.expected),
    }


def choose(providers: Sequence[Provider], wish: Wish, policy: TreasuryPolicy) -> Selection:
    """Return who converts an amount; where all are too slow, or do badly, one of those is better than none.

    Who does badly is judged anew only by how it does next; nobody would ever know that it does well again. Its breaker still
    keeps the distance between two tries.
    """
    slow = wish._replace(within_seconds=None)
    bad = policy.health._replace(rate_min=Decimal(0))
    ways = ((wish, policy.health), (slow, policy.health), (slow, bad))
    return next((one for way in ways if (one := select(providers, *way)).slices), select(providers, slow, policy.health))


def _swept(
    name: BufferName, buffers: Buffers, decision: BufferDecision, means: Means, rules: Rules, policy: TreasuryPolicy
) -> Evaluated:
    """Propose to bring what is too much to the buffers that lack most of their target; others have to agree."""
    wanted, refused, left = list[Wanted](), list[str](), decision.excess
    for taker in sorted(_takers(name, buffers), key=lambda one: (_filled(buffers[one]), one)):
        amount = min(left, missing(buffers[taker].position, buffers[taker].thresholds), buffers[name].available)
        how: How = "transfer" if CURRENCY_OF[taker] == CURRENCY_OF[name] else "conversion"
        if amount >= max(1, rules.ticket_min_cents * MICROS_PER_CENT):
            leg = Leg(name, how, amount)
            ordered, why = _ordered(leg, taker, buffers, means, rules, policy, "scheduled_rebalance")
            wanted += ordered
            refused += why
            left -= sum(one.amount for one in ordered)
    return Evaluated(buffers, buffers[name], decision, wanted, refused)


def _takers(name: BufferName, buffers: Buffers) -> Iterator[BufferName]:
    for taker, buffer in buffers.items():
        if name in SOURCES_OF[taker] and missing(buffer.position, buffer.thresholds):
            yield taker


def _filled(buffer: Buffer) -> Decimal:
    return Decimal(buffer.position) / buffer.thresholds.target


def _ordered(
    leg: Leg,
    destination: BufferName,
    buffers: Buffers,
    means: Means,
    rules: Rules,
    policy: TreasuryPolicy,
    cause: JobCause,
) -> tuple[list[Wanted], list[str]]:
    source = _named(leg.source)
    wish = Wish(
        leg.amount,
        direction_of(source, destination),
        may_be_degraded=cause == "emergency",
        may_split=policy.may_split,
        cost_counts=policy.cost_counts,
        within_seconds=means.within_seconds.get(destination),
    )
    amount = _grossed(leg, _fee_of_first(choose(means.providers, wish, policy), means), rules)
    amount = min(amount, _most(leg, buffers[source], rules))
    most, refused = room(means.now_ms, means.acted, policy.caps), list[str]()
    if amount > most:
        refused.append(f"cap: {dollars(amount)} of {leg.source}, of which {dollars(max(0, most))} may be ordered now")
        amount = most - most % MICROS_PER_CENT
    if amount < max(1, rules.buffer_policy.ticket_min if leg.how == "conversion" else 1):
        return [], refused
    selection = choose(means.providers, wish._replace(amount=amount), policy)
    refused += [f"{name}: {reason}" for name, reason in selection.refused.items()]
    slices = selection.slices or (Slice("", amount),)
    needs = cause == "scheduled_rebalance" or amount >= policy.approval_from_cents * MICROS_PER_CENT
    return [Wanted(cause, source, destination, one.amount, _arriving(leg.how, one, means), needs) for one in slices], refused


def _grossed(leg: Leg, fee_bps: Decimal, rules: Rules) -> int:
    """What to order, in whole cents, so that after the fee enough arrives."""
    fee = fee_bps / BASIS_POINTS if rules.gross_up and leg.how == "conversion" else Decimal(0)
    return gross_up(leg.amount, fee, MICROS_PER_CENT).order


def _most(leg: Leg, source: Buffer, rules: Rules) -> int:
    most = max(leg.amount, may_give(source, leg.how, rules.buffer_policy))
    return most - most % MICROS_PER_CENT


def _fee_of_first(selection: Selection, means: Means) -> Decimal:
    first = selection.slices[0].provider if selection.slices else None
    return next((one.fee_bps for one in means.providers if one.name == first), Decimal(0))


def _arriving(how: How, one: Slice, means: Means) -> int:
    """What should arrive of what a provider is to convert; moving money between two buffers of one currency costs nothing."""
    if how == "transfer":
        return one.amount
    fee_bps = next((provider.fee_bps for provider in means.providers if provider.name == one.provider), Decimal(0))
    return one.amount - fee_of(one.amount, fee_bps / BASIS_POINTS)


def _named(name: str) -> BufferName:
    return next(buffer for buffer in SOURCES_OF if buffer == name)
