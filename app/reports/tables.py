"""Rows as a person reads them: aligned columns, times in UTC, amounts in whole minor units with the unit named."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

UNITS = {"USD": "cents", "BTC": "sats"}
"""What the minor unit of a currency is called."""

WIDTH = 10_000
"""Wider than any row: a table is never folded, whatever it is shown on."""


def unit_of(currency: str) -> str:
    """The name of the minor unit."""
    return UNITS.get(currency, f"minor units of {currency}")


def plain(value: Any) -> Any:
    """A value of the database as JSON has it: whole numbers exact, times as ISO 8601 in UTC, ids as text."""
    match value:
        case Decimal():
            return int(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case UUID() | date() | timedelta():
            return str(value)
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def plain_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every value of every row as JSON has it."""
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def with_units(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the unit of their amounts after their currency."""
    return [_with_unit(row) for row in rows]


def _with_unit(row: dict[str, Any]) -> dict[str, Any]:
    facts = {}
    for name, value in row.items():
        facts[name] = value
        if name == "currency":
            facts["unit"] = unit_of(value)
    return facts


def aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows under their names, numbers to the right; lines end without blanks."""
    if not rows:
        return "(nothing)\n"
    table = Table(box=None, pad_edge=False, header_style="")
    for name in rows[0]:
        is_number = any(isinstance(row[name], int) and not isinstance(row[name], bool) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*[_shown(value) for value in row.values()])
    console = Console(file=StringIO(), width=WIDTH, color_system=None, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


@contextmanager
def in_place() -> Iterator[Callable[[RenderableType], None]]:
    """Yield what draws a picture over the one before, on a terminal."""
    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda picture: live.update(picture, refresh=True)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(str(item) for item in value)
        case _:
            return str(value)
