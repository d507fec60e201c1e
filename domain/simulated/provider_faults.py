"""How the simulated provider and the road to it can fail, by seed and id alone, so that a run with faults can be run again.

On the road: a request never arrives, or it is carried out and the answer is lost, always the same one. At the provider: it
refuses, for now or for good; it fails after it has begun; it is slow; it completes what it said had failed; it says amounts that
do not add up. Its webhooks come late, twice, in the wrong order or never. And for a while it is down, for everybody.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.market.swap import PPM
from domain.simulated.exchange import draw
from domain.simulated.exchange_terms import Natural, Positive, Ppm
from domain.treasury.conversion import ConversionState

Fault = Literal[
    "request_lost",
    "answer_lost",
    "hang",
    "refuse_now",
    "refuse_for_good",
    "fail",
    "slow",
    "late",
    "lie",
    "webhook_lost",
    "webhook_late",
    "webhook_repeated",
]


class ProviderFaults(BaseModel):
    """How many of a million ids suffer each fault, and for how long where that is the fault; all of them are independent.

    `late_ppm` is of those that fail: `late_ms` after it said so, the provider completes them. Webhooks that are late come up to
    `webhook_late_ms` later, and so in another order. Time is cut into pieces of `down_ms`, in some of which nothing is answered.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    request_lost_ppm: Ppm = 0
    answer_lost_ppm: Ppm = 0
    hang_ppm: Ppm = 0
    hang_ms: Natural = 30_000
    refuse_now_ppm: Ppm = 0
    refuse_for_good_ppm: Ppm = 0
    fail_ppm: Ppm = 0
    slow_ppm: Ppm = 0
    slow_ms: Natural = 30_000
    late_ppm: Ppm = 0
    late_ms: Natural = 10_000
    lie_ppm: Ppm = 0
    webhook_lost_ppm: Ppm = 0
    webhook_late_ppm: Ppm = 0
    webhook_late_ms: Positive = 5_000
    webhook_repeated_ppm: Ppm = 0
    down_ppm: Ppm = 0
    down_ms: Positive = 5_000


NO_FAULTS = ProviderFaults()


def suffers(faults: ProviderFaults, seed: int, fault: Fault, name: str) -> bool:
    """Return whether what has this name suffers the fault."""
    ppm = getattr(faults, f"{fault}_ppm")
    return bool(ppm) and draw(seed, PPM, fault, name) < ppm


def is_down(faults: ProviderFaults, seed: int, at_ms: int) -> bool:
    """Return whether nothing is answered at this time."""
    return bool(faults.down_ppm) and draw(seed, PPM, "down", str(at_ms // faults.down_ms)) < faults.down_ppm


def webhook_times(faults: ProviderFaults, seed: int, said: ConversionState) -> Sequence[int]:
    """Return when a word is told by webhook: once as a rule, never, later than the next one, or twice."""
    if suffers(faults, seed, "webhook_lost", said.id):
        return ()
    late = suffers(faults, seed, "webhook_late", said.id)
    first_ms = said.at_ms + (draw(seed, faults.webhook_late_ms, "late by", said.id) if late else 0)
    again_ms = first_ms + draw(seed, faults.webhook_late_ms, "again after", said.id)
    return (first_ms, again_ms) if suffers(faults, seed, "webhook_repeated", said.id) else (first_ms,)
