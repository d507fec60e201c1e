"""A scenario, made of its seed alone: buffers, what flows through them, providers with their faults, and when what restarts.

Each provider has faults of its own: some of those that it can have, and how often. Two scenarios with one seed are equal.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, get_args

from domain.messages.fields import Message
from domain.messages.ops import Control
from domain.messages.provider import ProviderConfig
from domain.messages.treasury import BufferFlow, BufferName, BufferThresholds
from domain.simulated.exchange import draw
from domain.simulated.provider_faults import Fault, ProviderFaults
from domain.simulated.provider_terms import ProviderTerms
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.worth import BUFFERS, CURRENCY_OF, MICROS_PER_CENT, MICROS_PER_UNIT

START_MS = 1_767_614_400_000
"""2026-01-05 at noon."""

ACTIVE_MS, PATIENCE_MS = 15 * 60_000, 8 * 3_600_000
"""So long money flows, and so long after that everything has to be settled."""

NAMES = ("alder", "birch", "cedar")
PPM_FAULTS = (*[fault for fault in get_args(Fault) if fault != "hang"], "down")
LIMITS: dict[BufferName, tuple[int, int, int, int]] = {
    "system_buffer_usdc": (10_000, 50_000, 100_000, 20_000),
    "system_buffer_fiat": (20_000, 100_000, 200_000, 50_000),
    "broker_operational": (50_000, 200_000, 500_000, 100_000),
}
"""Minimum, target, maximum and batch, in dollars."""

POLICY = TreasuryPolicy(window_seconds=60, lateness_seconds=5, retry_seconds=30, approval_seconds=600)
Timed = tuple[int, Message]


class Actor(NamedTuple):
    """A provider of a scenario: how it converts, how it fails, and whether it posts webhooks."""

    config: ProviderConfig
    terms: ProviderTerms
    faults: ProviderFaults
    posts_webhooks: bool


class Scenario(NamedTuple):
    """What happens by itself: facts with their times, and when the flow and the gateway die."""

    seed: int
    actors: Sequence[Actor]
    facts: Sequence[Timed]
    flow_dies_ms: Sequence[int]
    gateway_dies_ms: Sequence[int]
    pause_ms: int
    """The gateway goes round so often."""
    epoch_ms: int
    """The flow saves its state so often."""


def scenario_of(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    actors = [_actor(seed, name, place) for place, name in enumerate(NAMES[: 2 + draw(seed, 2, "actors")])]
    facts = [*_terms(actors), *_flows(seed), *_controls(seed), *_changes(seed, actors)]
    return Scenario(
        seed,
        actors,
        sorted(facts, key=lambda one: one[0]),
        sorted(_moments(seed, "flow dies")),
        sorted(_moments(seed, "gateway dies")),
        500 + draw(seed, 4_500, "pause"),
        1_000 + draw(seed, 30_000, "epoch"),
    )


def _moments(seed: int, what: str) -> Iterator[int]:
    """Yield up to three moments, some of them after money has stopped flowing."""
    for number in range(draw(seed, 4, what)):
        yield START_MS + draw(seed, ACTIVE_MS * 3 // 2, what, str(number))


def _actor(seed: int, name: str, place: int) -> Actor:
    fee = str(draw(seed, 100, "fee", name))
    rate = 1 + Decimal(draw(seed, 101, "rate", name) - 50) / 10_000
    terms = ProviderTerms(
        fee_bps=Decimal(fee),
        rates={"USDC/USD": rate, "USD/USDC": 2 - rate, "USD/USD": Decimal(1)},
        eta_ms=1_000 + draw(seed, 120_000, "eta", name),
        visible_after_ms=draw(seed, 1_500, "visible", name),
    )
    return Actor(_config(name, place, fee, terms), terms, _faults(seed, name), draw(seed, 4, "webhooks", name) > 0)


def _config(name: str, place: int, fee: str, terms: ProviderTerms) -> ProviderConfig:
    said: dict[str, Any] = {
        "kind": "http",
        "url": "http://127.0.0.1:1",
        "priority": place + 1,
        "status": "active",
        "directions": ("usdc_to_usd", "usd_to_usdc", "usd_to_usd"),
        "ticket_min_cents": 10_000,
        "ticket_max_cents": 4_000_000,
        "fee_bps": fee,
        "eta_seconds": -(-terms.eta_ms // 1000),
        "by": "anna",
        "reason": "rehearsal",
        "as_of": START_MS,
    }
    return ProviderConfig.model_validate({"provider": name, **said}, strict=False)


def _faults(seed: int, name: str) -> ProviderFaults:
    """Draw some faults of all that there are, and how often and how long."""
    chosen = [fault for fault in PPM_FAULTS if draw(seed, 3, "has", name, fault) == 0]
    ppm = {f"{fault}_ppm": 20_000 + draw(seed, 300_000, "ppm", name, fault) for fault in chosen}
    longest = {"slow_ms": 600_000, "late_ms": 600_000, "webhook_late_ms": 120_000, "down_ms": 60_000}
    return ProviderFaults.model_validate(
        {**ppm, **{what: 1_000 + draw(seed, most, what, name) for what, most in longest.items()}}
    )


def _terms(actors: Sequence[Actor]) -> Iterator[Timed]:
    for name, limits in LIMITS.items():
        unit = 100 * MICROS_PER_CENT // MICROS_PER_UNIT[CURRENCY_OF[name]]
        low, target, high, batch = (dollars * unit for dollars in limits)
        said: dict[str, Any] = {"min": low, "target": target, "max": high, "batch": batch}
        yield START_MS, BufferThresholds(buffer=name, by="anna", reason="rehearsal", as_of=START_MS, **said)
    yield from ((START_MS, actor.config) for actor in actors)


def _flows(seed: int) -> Iterator[Timed]:
    """Yield what each buffer starts with, then what customers bring and take, more of it out than in."""
    for name, (low, target, _, _) in LIMITS.items():
        yield _flow(f"start {name}", name, low // 2 + draw(seed, 2 * target, "start", name), START_MS + 1, "funding")
    for number in range(20 + draw(seed, 40, "flows")):
        place = str(number)
        name = BUFFERS[draw(seed, len(BUFFERS), "buffer", place)]
        dollars = 1 + draw(seed, LIMITS[name][1] // 5, "dollars", place)
        brings = draw(seed, 10, "brings", place) < 3
        at_ms = START_MS + 1_000 + draw(seed, ACTIVE_MS, "at", place)
        yield _flow(f"flow {place}", name, dollars if brings else -dollars, at_ms, "deposit" if brings else "withdrawal")


def _flow(name: str, buffer: BufferName, dollars: int, at_ms: int, cause: str) -> Timed:
    amount = dollars * 100 * MICROS_PER_CENT // MICROS_PER_UNIT[CURRENCY_OF[buffer]]
    flow = BufferFlow(id=name, buffer=buffer, amount=amount, cause=cause, effective_at=at_ms)  # type: ignore[arg-type]
    return at_ms, flow


def _controls(seed: int) -> Iterator[Timed]:
    """Yield what people tell the treasury by themselves: to convert, to look, to stop and to go on."""
    said: dict[str, Any] = {"reason": "rehearsal"}
    for number in range(draw(seed, 3, "by hand")):
        at_ms, place = START_MS + draw(seed, ACTIVE_MS, "by hand at", str(number)), draw(seed, 3, "by hand", str(number))
        source, destination = BUFFERS[place], BUFFERS[(place + 1) % 3]
        amount = (100 + draw(seed, 5_000, "by hand", "amount", str(number))) * 100 * MICROS_PER_CENT
        ways: dict[str, Any] = {
            "source": source,
            "destination": destination,
            "amount": amount // MICROS_PER_UNIT[CURRENCY_OF[source]],
        }
        yield at_ms, Control(id=f"by-hand-{number}", command="convert", by="anna", as_of=at_ms, **ways, **said)
    if draw(seed, 4, "stops") == 0:
        at_ms = START_MS + draw(seed, ACTIVE_MS // 2, "stops", "at")
        until_ms = at_ms + draw(seed, 300_000, "stops", "for")
        command = "halt" if draw(seed, 2, "stops", "how") else "reduce"
        yield at_ms, Control(id="stop", command=command, by="anna", as_of=at_ms, **said)  # type: ignore[arg-type]
        yield until_ms, Control(id="resume", command="resume", by="ben", as_of=until_ms, **said)


def _changes(seed: int, actors: Sequence[Actor]) -> Iterator[Timed]:
    """Yield a provider that is set inactive for a while, in some scenarios."""
    if draw(seed, 4, "inactive") == 0:
        config = actors[draw(seed, len(actors), "inactive", "who")].config
        at_ms = START_MS + draw(seed, ACTIVE_MS, "inactive", "at")
        until_ms = at_ms + draw(seed, 300_000, "inactive", "for")
        yield at_ms, config.model_copy(update={"status": "inactive", "as_of": at_ms})
        yield until_ms, config.model_copy(update={"as_of": until_ms})
