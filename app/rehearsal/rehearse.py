"""A rehearsal: many scenarios, each played and judged, and one report of all of them.

The report follows from the seeds: `digest` is of everything that was said in them, in their order, so two runs of the same
scenarios say the same, byte for byte, over however many processes they are spread.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from typing import Any, NamedTuple

from app.logs import configure_logs
from app.rehearsal.judge import Breach, alerts, judge, requests
from app.rehearsal.scenario import START_MS, scenario_of
from app.rehearsal.stage import Stage
from domain.treasury.jobs import DIVERGED, MISMATCH

BREACHES_SHOWN = 50
Progress = Callable[[int, int], None]
"""Hears how many scenarios are done, and how many breaches there were."""


class Played(NamedTuple):
    """What came of a scenario."""

    seed: int
    counts: Mapping[str, int]
    breaches: Sequence[Breach]
    digest: str


def play(seed: int) -> Played:
    """Play the scenario of a seed, and judge it."""
    return outcome(Stage(scenario_of(seed)))


def outcome(stage: Stage) -> Played:
    """Play a scenario that is set up, and judge it."""
    is_settled = stage.play()
    text = "\n".join(f"{at_ms - START_MS} {type(said).__name__} {said.model_dump_json()}" for at_ms, said in stage.said)
    breaches = judge(stage, is_settled=is_settled)
    return Played(stage.scenario.seed, counts_of(stage), breaches, sha256(text.encode()).hexdigest())


def counts_of(stage: Stage) -> dict[str, int]:
    """Return how often what has happened in a scenario."""
    jobs, told = stage.jobs.values(), Counter(one.subject for one in alerts(stage))
    providers = Counter(word.state for one in stage.partners.values() for word in one.truth.changes)
    return {
        "flows": len(stage.flows),
        "jobs": len(jobs),
        "completed": sum(job.state == "completed" for job in jobs),
        "failed": sum(job.state == "failed" for job in jobs),
        "cancelled": sum(job.state == "cancelled" for job in jobs),
        "parked": sum(job.error == MISMATCH for job in jobs),
        "refused_by_books": sum(job.error == DIVERGED for job in jobs),
        "late": sum(job.is_late for job in jobs),
        "failovers": sum(max(0, job.attempt - 1) for job in jobs),
        "retries": sum(job.retries for job in jobs),
        "requests": len({one.client_conversion_id for one in requests(stage)}),
        "carried_out": providers["completed"],
        "paid_twice_told": told["conversion_paid_twice"],
        "restarts": stage.restarts,
        "alerts": sum(told.values()),
    }


def rehearse(scenarios: int, seed: int, processes: int | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Play so many scenarios from a seed on, and return the report."""
    seeds = range(seed, seed + scenarios)
    workers = min(scenarios, processes or os.cpu_count() or 1)
    if workers == 1:
        return report(seeds, map(play, seeds), progress)
    with ProcessPoolExecutor(workers, get_context("spawn"), configure_logs, ("critical",)) as pool:
        return report(seeds, pool.map(play, seeds, chunksize=4), progress)


def report(seeds: Sequence[int], played: Iterable[Played], progress: Progress | None = None) -> dict[str, Any]:
    """Return one report of scenarios that were played, in the order of their seeds."""
    counts, breaches, digest, broken = Counter[str](), list[dict[str, Any]](), sha256(), 0
    for number, one in enumerate(played, 1):
        counts.update(one.counts)
        broken += bool(one.breaches)
        breaches += [{"seed": one.seed, **breach._asdict()} for breach in one.breaches]
        digest.update(one.digest.encode())
        if progress is not None:
            progress(number, broken)
    return {
        "seed": seeds[0],
        "scenarios": len(seeds),
        **counts,
        "scenarios_broken": broken,
        "breaches": breaches[:BREACHES_SHOWN],
        "digest": digest.hexdigest(),
    }
