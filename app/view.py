"""What a treasurer looks at while the demo runs: what is owed, what is held against it, and whether that is enough."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.session import Session
from app.status import read_status

BAR_WIDTH = 40


@contextmanager
def live_view(quiet: bool) -> Iterator[Callable[[Session], None]]:
    """Yield a function that shows the present state; in a pipe or with `quiet` it shows nothing."""
    if quiet or not sys.stdout.isatty():
        yield lambda _: None
        return
    with Live(Text("starting…"), console=Console(), auto_refresh=False, screen=False) as live:
        yield lambda session: live.update(picture(read_status(session.places)), refresh=True)


def picture(status: dict[str, Any]) -> Table:
    """The whole view as one table."""
    table = Table(title="Ballast", title_justify="left", show_header=False, min_width=78)
    table.add_column(style="dim", width=16)
    table.add_column()
    for name, value in _rows(status):
        table.add_row(name, value)
    return table


def _rows(status: dict[str, Any]) -> Iterator[tuple[str, Text]]:
    yield "price", Text(f"{Decimal(status['price_usd'] or 0):,.2f} USD per bitcoin")
    yield "we owe users", Text(f"{dollars(status['liability_cents'])}   from {status['trades']:,} trades")
    yield "exchange holds", Text(f"{dollars(status['exposure_cents'])}   short is negative")
    yield "hedge ratio", gauge(status["hedge_ratio"], Decimal("0.95"), Decimal("1.03"), Decimal("1.2"))
    yield "collateral", Text(f"{bitcoin(status['collateral_sats'])} trading, {bitcoin(status['funding_sats'])} funding")
    yield "leverage", gauge(status["leverage"], Decimal(2), Decimal(4), Decimal(5))
    for kind, last in sorted(status["last_decisions"].items()):
        yield (
            f"last {kind}",
            Text(f"{last['action'].replace('_', ' ')}: {last['reason']}", overflow="ellipsis", no_wrap=True),
        )
    yield "orders", Text(counts(status["orders"]))
    yield "transfers", Text(counts(status["transfers"]))
    yield "waiting legs", Text(_waiting(status["waiting_legs"]))
    yield "quarantine", Text(counts(status["quarantined"]))


def _waiting(waiting: dict[str, int]) -> str:
    if not waiting["count"]:
        return "none"
    return f"{waiting['count']}, worth {dollars(waiting['worth_cents'])}, oldest {waiting['oldest_seconds']} s"


def dollars(cents: int) -> str:
    """Cents as dollars."""
    return f"{Decimal(cents) / 100:,.2f} USD"


def bitcoin(sats: int) -> str:
    """Satoshis as bitcoin."""
    return f"{Decimal(sats) / 100_000_000:,.8f} BTC"


def counts(by_name: dict[str, int]) -> str:
    """`3 filled, 1 open`."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in by_name.items()) or "none"


def gauge(value: str | None, low: Decimal, high: Decimal, end: Decimal) -> Text:
    """A bar with the band marked; green inside it, red outside."""
    if value is None:
        return Text("-")
    number = Decimal(value)
    at = min(BAR_WIDTH - 1, max(0, int(number / end * BAR_WIDTH)))
    marks = {int(low / end * BAR_WIDTH): "[", int(high / end * BAR_WIDTH): "]"}
    bar = "".join("█" if place == at else marks.get(place, "·") for place in range(BAR_WIDTH))
    return Text(f"{number:.4f}  {bar}  band {low} to {high}", style="green" if low <= number <= high else "red")
