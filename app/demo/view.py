"""What a treasurer looks at while the demo runs: what is owed, what is held against it, and whether that is enough."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich.table import Table
from rich.text import Text

from app.reports.status import read_status
from app.reports.tables import in_place
from app.reports.treasury.words import bar, whole
from app.reports.words import counts, treasury
from app.workers.session import Session
from domain.hedging.policy import Policy

BAR_WIDTH = 40


@contextmanager
def live_view(quiet: bool, limits: Policy) -> Iterator[Callable[[Session], None]]:
    """Yield a function that shows the present state, within these bands; in a pipe or with `quiet` it shows nothing."""
    if quiet or not sys.stdout.isatty():
        yield lambda _: None
        return
    with in_place() as draw:
        yield lambda session: draw(picture(read_status(session.places), limits))


def picture(status: dict[str, Any], limits: Policy) -> Table:
    """The whole view as one table."""
    table = Table(title="Ballast", title_justify="left", show_header=False, min_width=78)
    table.add_column(style="dim", width=16)
    table.add_column()
    for name, value in _rows(status, limits):
        table.add_row(name, value)
    return table


def _rows(status: dict[str, Any], limits: Policy) -> Iterator[tuple[str, Text]]:
    hedge, funding = limits.hedge, limits.funding
    drawn = {
        "hedge ratio": gauge(status["hedge_ratio"], hedge.low_bound_ratio_shorting, hedge.high_bound_ratio_shorting),
        "leverage": gauge(status["leverage"], funding.low_bound_ratio_leverage, funding.high_bound_ratio_leverage),
    }
    for name, value in treasury(status):
        yield name, drawn.get(name) or Text(value, overflow="ellipsis", no_wrap=True)
    yield from _buffers(status["treasury"])
    yield from _symbols(status.get("settlement", {}))


STYLES = {"CRITICAL_LOW": "red", "BELOW_TARGET": "yellow", "OVER_CAPITALIZED": "magenta"}


def _buffers(own: dict[str, Any]) -> Iterator[tuple[str, Text]]:
    """Each buffer between its minimum and its maximum, what is under way, and how providers do."""
    for row in own["buffers"]:
        amount = whole(row["available"], row["currency"])
        drawn = bar(row["position"], row["min"], row["target"], row["max"])
        yield row["buffer"].removeprefix("system_"), Text(f"{drawn} {amount}", style=STYLES.get(row["status"], "green"))
    if own["buffers"]:
        yield "conversions", Text(counts(own["jobs"]))
        providers = [
            f"{row['provider']} {row['successes']} of {row['successes'] + row['failures']}"
            + ("" if row["is_healthy"] else " !")
            for row in own["providers"]
        ]
        yield "providers", Text("; ".join(providers) or "none yet")


STANDS = {"open": "green", "halted": "red", "closed": "yellow"}


def _symbols(own: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    """How far each symbol has settled, and why words were refused; nothing where nothing is settled."""
    for row in own.get("symbols", ()):
        told = f"{row['settled']:,} settled up to trade {row['last_sequence'] or 0:,}, {row['refused']:,} refused"
        yield row["symbol"], Text(told, style=STANDS.get(row["status"], ""))
    if own.get("refused"):
        yield "refused words", Text(counts(own["refused"]), overflow="ellipsis", no_wrap=True)


def gauge(value: str | None, low: Decimal, high: Decimal) -> Text:
    """A bar with the band marked, which ends a fifth of it below its end; green inside the band, red outside."""
    if value is None:
        return Text("-")
    number, end = Decimal(value), high * 5 / 4
    at = min(BAR_WIDTH - 1, max(0, int(number / end * BAR_WIDTH)))
    marks = {int(low / end * BAR_WIDTH): "[", int(high / end * BAR_WIDTH): "]"}
    bar = "".join("█" if place == at else marks.get(place, "·") for place in range(BAR_WIDTH))
    return Text(f"{number:.4f}  {bar}  band {low} to {high}", style="green" if low <= number <= high else "red")
