"""What the rounds come to: medians, ratios within rounds, and whether the targets are reached.

A ratio is the median of the ratios of each round, so a machine that is slow for one round does not tilt it. The target beside
raw COPY is meant for COPY of the entries alone, without headers: the strictest reading.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from app.bench.posting.running import BATCH, Sample
from app.bench.posting.variants import CHOSEN, OTHER_BATCHES, REJECTED_PERCENTS

Rounds = Sequence[Mapping[str, Sample]]
BASE = f"batch_{BATCH}"

RATIOS = {
    "to_copy_of_entries": (BASE, "copy_entries"),
    "to_copy_of_headers_and_entries": (BASE, "copy"),
    "to_row_at_a_time": (BASE, "row_at_a_time"),
    **{f"with_{percent}_percent_rejects": (f"rejects_{percent}", BASE) for percent in REJECTED_PERCENTS},
    "with_entries_before": ("prefilled", BASE),
    "with_many_accounts": ("large", BASE),
    "with_two_shards": ("shards", BASE),
    "of_duplicates": ("duplicates", BASE),
    "of_user_trades": ("user_trades", BASE),
    "of_user_trades_to_copy": ("user_trades", "user_trades_copy"),
    "of_single_to_row_at_a_time": ("single", "row_at_a_time"),
}


class Target(NamedTuple):
    """A number to reach; `is_at_most` if less is better."""

    what: str
    bound: float
    measured: float
    is_at_most: bool = False

    def told(self) -> dict[str, Any]:
        """As it stands in the report."""
        ok = self.measured < self.bound if self.is_at_most else self.measured >= self.bound
        bound = {"below" if self.is_at_most else "at_least": self.bound}
        return {"what": self.what, **bound, "measured": self.measured, "ok": ok}


def report(rounds: Rounds) -> dict[str, Any]:
    """Rates by what was varied, with the CPU of each transaction where it is known, ratios, and what is reached."""
    ratios = {name: _ratio(rounds, *pair) for name, pair in RATIOS.items()}
    base = _rate(rounds, BASE)
    return {
        "by_batch": {str(size): _rate(rounds, f"batch_{size}") for size in (*sorted((BATCH, *OTHER_BATCHES)), CHOSEN)},
        "by_rejected_percent": {
            "0": base,
            **{str(percent): _rate(rounds, f"rejects_{percent}") for percent in REJECTED_PERCENTS},
        },
        "with_many_accounts": _rate(rounds, "large"),
        "with_entries_before": _rate(rounds, "prefilled"),
        "two_shards": _rate(rounds, "shards"),
        "duplicates": _rate(rounds, "duplicates"),
        "single": _rate(rounds, "single"),
        "user_trades": _rate(rounds, "user_trades"),
        "beside": {name: _rate(rounds, name) for name in ("copy_entries", "copy", "row_at_a_time", "user_trades_copy")},
        "ratios": ratios,
        "reached": [target.told() for target in _targets(base, ratios)],
    }


def _targets(base: Mapping[str, float], ratios: Mapping[str, float]) -> list[Target]:
    return [
        Target(f"transactions per second in batches of {BATCH:,}", 35_000, base["per_second"]),
        Target(f"99 of 100 batches of {BATCH:,}, in ms", 100, base["batch_p99_ms"], is_at_most=True),
        Target("beside raw COPY of the entries", 0.5, ratios["to_copy_of_entries"]),
        Target("with 20 % rejects, beside none", 0.7, ratios["with_20_percent_rejects"]),
        Target("on a full ledger, beside an empty one", 0.9, ratios["with_entries_before"]),
        Target("beside row at a time", 30, ratios["to_row_at_a_time"]),
    ]


def _rate(rounds: Rounds, name: str) -> dict[str, float]:
    samples = [samples[name] for samples in rounds]
    rate: dict[str, float] = {"per_second": round(median(sample.per_second for sample in samples))}
    counts = {(sample.handed, sample.posted) for sample in samples}
    if any(posted != count for count, posted in counts):
        rate["posted_share"] = round(sum(s.posted for s in samples) / sum(s.handed for s in samples), 4)
    took = sorted(seconds for sample in samples for seconds in sample.batch_seconds)
    costs = [(sample.cpu, sample.handed) for sample in samples if sample.cpu is not None]
    if costs:
        rate["writer_cpu_us"] = _us(median(cpu.writer / handed for cpu, handed in costs))
        rate["backend_cpu_us"] = _us(median(cpu.backends / handed for cpu, handed in costs))
    if took:
        rate |= {"batch_p50_ms": _ms(took[len(took) // 2]), "batch_p99_ms": _ms(took[len(took) * 99 // 100])}
    return rate


def _ratio(rounds: Rounds, one: str, other: str) -> float:
    return round(median(samples[one].per_second / samples[other].per_second for samples in rounds), 3)


def _us(seconds: float) -> float:
    return round(seconds * 1_000_000, 1)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
