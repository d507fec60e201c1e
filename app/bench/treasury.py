"""What policies cost: a simulated month of flows under each, side by side.

The same flows are replayed under each policy by the functions that the desk decides by. Thresholds, fee and time are those of
the treasury's document; thresholds that follow are made anew each night from the days before. Everything comes from the seed,
so two runs say the same, byte for byte.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from domain.errors import ConfigError
from domain.messages.treasury import BufferName, Model
from domain.simulated.flows import simulated_flows
from domain.times import text_of
from domain.treasury.backtest import Follow, GroupFlow, Replayed, Terms, idle_cost, one_by_one, replay
from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.decide import BufferPolicy
from domain.treasury.following import follow
from domain.treasury.forecast import Moments
from domain.treasury.worth import BUFFERS, CURRENCY_OF, MICROS_PER_CENT, SOURCES_OF

START_MS = 1_767_571_200_000
"""2026-01-05, a Monday."""

DOLLAR = 100 * MICROS_PER_CENT
TOLD: Mapping[BufferName, Thresholds] = {
    "system_buffer_usdc": Thresholds(10_000 * DOLLAR, 50_000 * DOLLAR, 100_000 * DOLLAR, 20_000 * DOLLAR),
    "system_buffer_fiat": Thresholds(20_000 * DOLLAR, 100_000 * DOLLAR, 200_000 * DOLLAR, 50_000 * DOLLAR),
    "broker_operational": Thresholds(50_000 * DOLLAR, 200_000 * DOLLAR, 500_000 * DOLLAR, 100_000 * DOLLAR),
}
FEE_RATE, ANNUAL_RATE = Decimal("0.005"), Decimal("0.045")
SPAN_MS, TICKET_MIN = 300_000, 100 * DOLLAR
FOLLOWED: Mapping[Model, Mapping[str, Decimal]] = {
    "service_level": {"lead_time_days": Decimal("0.25"), "service": Decimal("0.99")},
    "miller_orr": {
        "cost_per_transfer": Decimal(25 * DOLLAR),
        "annual_rate": ANNUAL_RATE,
        "days_per_year": Decimal(365),
    },
}
"""A lead time of six hours leaves time for a source that is short itself; Miller-Orr's lower bound is the minimum told."""

SHORT: Mapping[BufferName, str] = dict(zip(BUFFERS, ("USDC", "fiat", "broker"), strict=True))


class _Plan(NamedTuple):
    policy: BufferPolicy
    follow: Follow | None = None


def measure(seed: int, days: int, per_day: int, eta_minutes: int, plot: Path | None = None) -> dict[str, Any]:
    """Return one report: a row per policy, amounts in cents; with `plot`, draw what the USDC buffer had, into that file."""
    flows = list(simulated_flows(seed, START_MS, days, per_day))
    terms = Terms(FEE_RATE, eta_minutes * 60_000, SPAN_MS, {name: SOURCES_OF[name] for name in BUFFERS})
    opened = [Buffer(name, CURRENCY_OF[name], TOLD[name].target, 0, 0, TOLD[name]) for name in BUFFERS]
    found = {name: replay(opened, flows, one.policy, terms, one.follow) for name, one in _plans().items()}
    found["one per flow"] = one_by_one(opened, flows, terms)
    if plot is not None:
        _draw(found, plot)
    return {
        "seed": seed,
        "days": days,
        "flows": len(flows),
        "gross_cents": _cents(sum(abs(flow.amount) for flow in flows)),
        "net_cents": {name: _cents(_net(flows, name)) for name in BUFFERS},
        "eta_minutes": eta_minutes,
        "fee_rate": str(FEE_RATE),
        "annual_rate": str(ANNUAL_RATE),
        "policies": [_row(name, one) for name, one in found.items()],
    }


def _plans() -> Mapping[str, _Plan]:
    plain = BufferPolicy(ticket_min=TICKET_MIN)
    return {
        "minimum": _Plan(plain),
        "target": _Plan(plain._replace(trigger="target")),
        "batch": _Plan(plain._replace(rounding="batch")),
        "service level": _Plan(plain, partial(_followed, "service_level")),
        "Miller-Orr": _Plan(plain, partial(_followed, "miller_orr")),
    }


def _followed(model: Model, days: Moments, told: Thresholds) -> Thresholds:
    """Return the thresholds of a model, those that were told where there are none."""
    own = {**FOLLOWED[model], **({"lower": Decimal(told.min)} if model == "miller_orr" else {})}
    found = follow(model, own, days, told)
    return told if isinstance(found, str) else found


def _row(name: str, one: Replayed) -> dict[str, Any]:
    return {
        "policy": name,
        "conversions": one.conversions,
        "transfers": one.transfers,
        "volume_cents": _cents(one.volume),
        "fees_cents": _cents(one.fees),
        "low_cents": {buffer: _cents(low) for buffer, low in one.low.items()},
        "windows_under_min": one.under_min,
        "windows_below_zero": one.below_zero,
        "idle_cost_cents": _cents(idle_cost(one, ANNUAL_RATE, SPAN_MS)),
    }


def _cents(micros: int) -> int:
    return round(Decimal(micros) / MICROS_PER_CENT)


def _net(flows: Sequence[GroupFlow], name: str) -> int:
    return sum(flow.amount for flow in flows if flow.buffer == name)


def rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows for people, in whole dollars."""
    return [
        {
            "policy": one["policy"],
            "conversions": one["conversions"],
            "transfers": one["transfers"],
            "volume": one["volume_cents"] // 100,
            "fees": one["fees_cents"] // 100,
            **{f"low {SHORT[name]}": one["low_cents"][name] // 100 for name in BUFFERS},
            "under min": one["windows_under_min"],
            "below zero": one["windows_below_zero"],
            "idle cost": one["idle_cost_cents"] // 100,
        }
        for one in report["policies"]
    ]


def _draw(found: Mapping[str, Replayed], plot: Path) -> None:
    """Draw the USDC buffer, hour by hour, a strip for each policy; here, on their way to a page, amounts become floats."""
    try:
        import altair as alt  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "plots need the extra 'notebooks' (make setup installs it)"
        raise ConfigError(msg) from error
    values = [
        {
            "at": text_of(START_MS + (window + 1) * SPAN_MS),
            "policy": name,
            "level": level["system_buffer_usdc"] / DOLLAR / 1_000,
        }
        for name, one in found.items()
        for window, level in enumerate(one.levels)
        if window % 12 == 11
    ]
    time = alt.X("at:T", title="time (UTC)", scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b"))
    drawn = (
        alt.Chart(alt.InlineData(values=values), width=720, height=70)
        .mark_line(interpolate="step-after", strokeWidth=1.2, color="#111111")
        .encode(x=time, y=alt.Y("level:Q", title="k$"), row=alt.Row("policy:N", title=None, sort=[*found]))
        .properties(title=alt.Title("The USDC buffer under each policy", anchor="start"))
    )
    try:
        drawn.save(plot)
    except (OSError, ValueError) as error:
        msg = f"{plot} cannot be drawn: {error}; name a file that ends with .svg, .png or .json"
        raise ConfigError(msg) from error
