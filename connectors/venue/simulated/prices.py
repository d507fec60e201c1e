"""Price paths: recorded bars, or a seeded random walk, both as plain iterators of exact decimals."""

from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

from connectors.venue.simulated.bars import read_bars

TICKS_PER_BAR = 4
_PPM = 1_000_000


def recorded_path(path: Path, from_tick: int = 0) -> Iterator[Decimal]:
    """The ticks of all bars of a file, from the given one on."""
    for number, bar in enumerate(read_bars(path)):
        if (number + 1) * TICKS_PER_BAR > from_tick:
            yield from bar.ticks()[max(0, from_tick - number * TICKS_PER_BAR) :]


def walk(seed: int, start_usd: Decimal, from_tick: int = 0, step_ppm_max: int = 300) -> Iterator[Decimal]:
    """A geometric random walk without end, in steps of a tenth of a dollar at least one tenth above zero.

    Step n depends on the seed and n alone, so a walk that is taken up again at tick n with the price it had there
    goes on as if it had never stopped. Each step moves the price by up to `step_ppm_max` parts per million, rounded
    to the nearest tenth.
    """
    tenths = int(start_usd.scaleb(1))
    while True:
        tenths = max(1, (tenths * (_PPM + _step_ppm(seed, from_tick, step_ppm_max)) + _PPM // 2) // _PPM)
        from_tick += 1
        yield Decimal(tenths).scaleb(-1)


def _step_ppm(seed: int, tick: int, step_ppm_max: int) -> int:
    digest = blake2b(f"walk {seed} {tick}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (2 * step_ppm_max + 1) - step_ppm_max
