"""How the road to the simulated exchange can fail, seeded, so that a run with faults can be run again.

The faults are in the road, not in the exchange: a request that never arrived, one that arrived after the caller had
given up, an answer that was lost although the request was carried out. To the caller they all look the same, which is
the point. That a look-up finds nothing for a while is a term of the exchange itself (`Terms.visible_after_ms`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.market.swap import PPM
from domain.simulated.exchange import draw
from domain.simulated.exchange_terms import Natural, Ppm

Fault = Literal["none", "lost_before", "late", "lost_after"]


class Faults(BaseModel):
    """How many requests in a million suffer each fault; `late_ms` and `delay_ms` say by how long."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lost_before_ppm: Ppm = 0
    late_ppm: Ppm = 0
    late_ms: Natural = 1_000
    lost_after_ppm: Ppm = 0
    delayed_ppm: Ppm = 0
    delay_ms: Natural = 0


def fault_of(faults: Faults, seed: int, number: int) -> Fault:
    """What happens to the request of this number; at most one fault each."""
    drawn = draw(seed, PPM, "fault", str(number))
    if drawn < faults.lost_before_ppm:
        return "lost_before"
    if drawn < faults.lost_before_ppm + faults.late_ppm:
        return "late"
    if drawn < faults.lost_before_ppm + faults.late_ppm + faults.lost_after_ppm:
        return "lost_after"
    return "none"


def delay_ms_of(faults: Faults, seed: int, number: int) -> int:
    """How long the answer to the request of this number is held back."""
    return faults.delay_ms if draw(seed, PPM, "delay", str(number)) < faults.delayed_ppm else 0
