"""What many customers bring into three buffers and take out of them, by seed: the same seed gives the same flows.

Each minute a few customers may come; how likely one does follows the hour and the day of the week. Each brings or takes an
amount, small ones mostly, on chain, by bank, or by buying and selling at the broker, which is open on weekdays from 14 to
21 o'clock UTC. Over a month about as much comes as goes in all, but not in each buffer: coins are brought and shares bought,
so that the broker runs dry where the chain runs over, and somebody has to convert.
"""

from collections.abc import Iterator
from typing import NamedTuple

from domain.market.swap import PPM
from domain.messages.treasury import BufferName
from domain.simulated.exchange import draw
from domain.treasury.backtest import GroupFlow
from domain.treasury.worth import MICROS_PER_CENT

MINUTE_MS = 60_000
MINUTES_PER_DAY = 1_440
_HOURS = (2, 1, 1, 1, 2, 3, 5, 8, 10, 11, 11, 12, 12, 12, 14, 16, 15, 14, 12, 11, 10, 8, 6, 4)
"""How busy each hour of a day is, UTC, to each other."""

_WEEKDAYS = (10, 10, 10, 10, 11, 7, 6)
"""The same of each day from Monday on."""

_OPEN_HOURS, _OPEN_DAYS = range(14, 21), range(5)


class _Way(NamedTuple):
    """A buffer that customers use, how many of a hundred do, and how many of a hundred of those bring money."""

    buffer: BufferName
    share: int
    brings: int


_CHAIN, _BANK, _BROKER = (
    _Way("system_buffer_usdc", 45, 53),
    _Way("system_buffer_fiat", 25, 50),
    _Way("broker_operational", 30, 34),
)
_SIZES = ((70, 2_000, 50_000), (25, 50_000, 400_000), (5, 400_000, 1_500_000))
"""How many of a hundred amounts lie between two, in cents."""


def simulated_flows(seed: int, start_ms: int, days: int, per_day: int) -> Iterator[GroupFlow]:
    """Yield the flows of so many days from a Monday's midnight on, about `per_day` of them on each, in micro-dollars."""
    for minute in range(days * MINUTES_PER_DAY):
        weekday, hour = minute // MINUTES_PER_DAY % 7, minute // 60 % 24
        names = _come(seed, minute, _likely_ppm(per_day, weekday, hour))
        is_open = hour in _OPEN_HOURS and weekday in _OPEN_DAYS
        yield from sorted(_flow(seed, name, start_ms + minute * MINUTE_MS, is_open=is_open) for name in names)


def _come(seed: int, minute: int, likely_ppm: int) -> Iterator[str]:
    """Yield a name for each customer who comes in a minute."""
    for place in range(-(-likely_ppm // PPM)):
        name = f"{minute}.{place}"
        if draw(seed, PPM, "comes", name) < likely_ppm - place * PPM:
            yield name


def _likely_ppm(per_day: int, weekday: int, hour: int) -> int:
    """Return how many customers are expected in a minute, in millionths."""
    weight = _HOURS[hour] * _WEEKDAYS[weekday] * 24 * 7
    return PPM * per_day * weight // (sum(_HOURS) * sum(_WEEKDAYS) * MINUTES_PER_DAY)


def _flow(seed: int, name: str, minute_ms: int, *, is_open: bool) -> GroupFlow:
    way = _drawn_way(draw(seed, 100, "way", name))
    way = way if is_open or way is not _BROKER else _CHAIN
    amount = _amount(seed, name) * MICROS_PER_CENT
    brings = draw(seed, 100, "brings", name) < way.brings
    return GroupFlow(minute_ms + draw(seed, MINUTE_MS, "moment", name), way.buffer, amount if brings else -amount)


def _drawn_way(drawn: int) -> _Way:
    if drawn < _CHAIN.share:
        return _CHAIN
    return _BANK if drawn < _CHAIN.share + _BANK.share else _BROKER


def _amount(seed: int, name: str) -> int:
    drawn = draw(seed, 100, "size", name)
    for share, low, high in _SIZES:
        if drawn < share:
            return low + draw(seed, high - low, "amount", name)
        drawn -= share
    msg = "the shares of all sizes are a hundred"
    raise AssertionError(msg)
