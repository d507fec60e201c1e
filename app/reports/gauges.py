"""What the steps of the flows say of themselves: how far each is behind, how long it has been silent, what waits in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.streams.gauges import Gauge
from sinks.postgres import Connection
from sinks.queries import ask

LIABILITY, HEDGING, EXECUTION, SINGLES = ("pair", "explain", "book"), ("decide",), ("reserve",), ("book_singles",)
TREASURY = ("explain_conversions", "book_buffers", "decide_buffers", "reserve_conversions")
SETTLEMENT = ("settle", "book_settlement")
RECONCILING, KEEP = ("reconcile",), "keep"
"""The archive's step speaks when it makes files, and is behind by the age of what it has."""

STEPS: Mapping[str, Sequence[str]] = {
    "everything": (*LIABILITY, *HEDGING, *EXECUTION, *SINGLES),
    "liability": LIABILITY,
    "hedging": HEDGING,
    "execution": EXECUTION,
    "ledger": SINGLES,
    "archive": (KEEP,),
    "reconciling": RECONCILING,
    "treasury": TREASURY,
    "settlement": SETTLEMENT,
}
"""The steps of each flow that say how far they have come."""


class Reading(NamedTuple):
    """A gauge as it was read: when the step said so and when it was read, in epoch milliseconds of the database's clock."""

    gauge: Gauge
    as_of_ms: int
    now_ms: int


class StepReport(NamedTuple):
    """One step over all its shards: stream time that it has not passed yet, time since its last word, and what it counts."""

    behind_ms: int
    silent_ms: int
    late: int
    held: int


def read_gauges(connection: Connection) -> list[Reading]:
    """Return every gauge that a running flow keeps, or that the last one left."""
    rows = ask(connection, "treasury_gauges")
    return [
        Reading(Gauge(row["step"], row["shard"], row["name"], row["value"]), row["as_of_ms"], row["now_ms"]) for row in rows
    ]


def come_to_ms(readings: Iterable[Reading]) -> dict[str, int]:
    """Return the time that each step has passed in all of its shards; no later than when it said so, even at its end."""
    found: dict[str, int] = {}
    for (step, _, name, value), as_of_ms, _ in readings:
        if name == "watermark_ms":
            come_ms = min(value, as_of_ms)
            found[step] = min(found.get(step, come_ms), come_ms)
    return found


def step_reports(readings: Sequence[Reading]) -> dict[str, StepReport]:
    """Return a report per step; a step that has passed no time yet is behind by all time there is."""
    come = come_to_ms(readings)
    late, held = (summed(readings, name) for name in ("late", "held"))
    now_ms, spoke_ms = _newest(readings)
    return {
        step: StepReport(now_ms - max(0, come.get(step, 0)), now_ms - as_of_ms, late.get(step, 0), held.get(step, 0))
        for step, as_of_ms in spoke_ms.items()
    }


def _newest(readings: Iterable[Reading]) -> tuple[int, dict[str, int]]:
    """Return when the readings were taken, and when each step spoke last."""
    taken_ms, spoke_ms = 0, dict[str, int]()
    for gauge, as_of_ms, now_ms in readings:
        taken_ms = max(taken_ms, now_ms)
        spoke_ms[gauge.step] = max(spoke_ms.get(gauge.step, 0), as_of_ms)
    return taken_ms, spoke_ms


def summed(readings: Iterable[Reading], name: str) -> dict[str, int]:
    """Return the sum of a gauge over the shards of each step that has it."""
    found: dict[str, int] = {}
    for gauge, _, _ in readings:
        if gauge.name == name:
            found[gauge.step] = found.get(gauge.step, 0) + gauge.value
    return found


def fresh_since_ms(readings: Iterable[Reading]) -> int | None:
    """Return since when a leg waits whose other half is still expected."""
    return min((g.value for g, _, _ in readings if g.name == "fresh_waiting_since_ms" and g.value), default=None)


def waiting_report(readings: Sequence[Reading]) -> dict[str, int]:
    """Return how many legs wait for their other half, what they are worth, and for how long the oldest has waited."""
    ages_ms = [now_ms - g.value for g, _, now_ms in readings if g.name == "oldest_waiting_since_ms" and g.value]
    return {
        "count": sum(summed(readings, "waiting_legs").values()),
        "worth_cents": sum(summed(readings, "waiting_worth_cents").values()),
        "oldest_seconds": max(ages_ms, default=0) // 1000,
    }
