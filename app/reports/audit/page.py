"""An audit as one page: what was judged, what was found, and what the books look like, in a file that needs nothing else.

The plots are drawn here as SVG, of what three files of `sql/audit` give. A picture is no proof: its numbers become floats on
their way to a place on a line, and nowhere else.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from app.reports.audit.checks import AUDIT, plain
from app.reports.audit.judge import look_into
from domain.times import datetime_of
from sinks.archive.manifest import Opened
from sinks.archive.parquet import duck

PLOTS = ("plots_liability_and_short", "plots_entries_per_day", "plots_balances_by_account")
WIDTH, HEIGHT, MARGIN = 760, 220, 8
POINTS_MAX = 600
"""A line has no more points than a screen shows."""

COLOURS = ("#1f5a99", "#b3541e")
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem;font-size:13px}
td,th{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.breach{color:#a40000;font-weight:600}.pass{color:#1d6b2f}svg{background:#fafafa;border:1px solid #ddd;max-width:100%}
code{font-size:12px}
"""

Table = Sequence[Mapping[str, Any]]


class Line(NamedTuple):
    """A line of a plot: its name, and a value for each place."""

    name: str
    values: Sequence[int]


def read_plots(archive: Opened) -> dict[str, Table]:
    """Return what the plots show of a folder that has been opened."""
    with TemporaryDirectory(prefix="ballast-audit-") as scratch, duck(Path(scratch)) as opened:
        look_into(opened, archive)
        tables: dict[str, Table] = {}
        for name in PLOTS:
            found = opened.execute((AUDIT / f"{name}.sql").read_text(encoding="utf-8"))
            names = [column[0] for column in found.description or ()]
            tables[name] = [dict(zip(names, map(plain, row), strict=True)) for row in found.fetchall()]
        return tables


def page(report: Mapping[str, Any], plots: Mapping[str, Table]) -> str:
    """Return the page of a report."""
    return "\n".join(_parts(report, *[plots[name] for name in PLOTS]))


def _parts(report: Mapping[str, Any], owed: Table, entries: Table, balances: Table) -> Iterator[str]:
    system, verdict = report["system"], report["verdict"]
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Audit {escape(report["made_at"])}</title>'
    yield f"<style>{_STYLE}</style>"
    yield f'<h1>Audit: <span class="{escape(verdict)}">{escape(verdict)}</span></h1>'
    yield f"<p>A snapshot of {escape(report['made_at'])}, of the ledger <code>{escape(system['database'])}</code>"
    yield f" and the cluster <code>{escape(str(system['cluster_id'] or 'none'))}</code>.</p>"
    shown = ("invariant", "holds", "verdict", "checked", "of", "breaches")
    yield table([{name: check[name] for name in shown} for check in report["checks"]])
    for check in report["checks"]:
        if check["rows"]:
            yield f"<h2>{escape(check['name'])}</h2><p>{check['breaches']} rows, of which the first:</p>{table(check['rows'])}"
    yield "<h2>What is owed, and the short that stands against it</h2>"
    yield lines([Line("owed", _column(owed, "liability_cents")), Line("short", _column(owed, "short_cents"))], *_ends(owed))
    yield "<h2>Entries per day</h2>"
    yield bars([(row["day"], row["entries"]) for row in entries])
    yield f"<h2>Balances by account</h2>{table(balances)}</html>"


def _column(rows: Table, name: str) -> list[int]:
    return [int(row[name]) for row in rows]


def _ends(rows: Table) -> tuple[str, str]:
    if not rows:
        return "", ""
    first, last = (datetime_of(int(rows[place]["at_us"]) // 1000).strftime("%Y-%m-%d %H:%M") for place in (0, -1))
    return first, last


def table(rows: Table) -> str:
    """Return rows as a table of HTML."""
    if not rows:
        return "<p>Nothing.</p>"
    heads = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    return f"<table><tr>{heads}</tr>{''.join(map(_row, rows))}</table>"


def _row(row: Mapping[str, Any]) -> str:
    return f"<tr>{''.join(_cell(name, value) for name, value in row.items())}</tr>"


def _cell(name: str, value: Any) -> str:
    kind = "n" if isinstance(value, int) and not isinstance(value, bool) else str(value) if name == "verdict" else ""
    return f'<td class="{escape(kind)}">{escape("" if value is None else str(value))}</td>'


def lines(drawn: Sequence[Line], first: str, last: str) -> str:
    """Return lines over one scale, from zero or below; the places are as far apart as they are many."""
    every = [value for line in drawn for value in line.values]
    if not every:
        return "<p>Nothing.</p>"
    low, high = min(0, *every), max(1, *every)
    paths = [_path(line, low, high, colour) for line, colour in zip(drawn, COLOURS, strict=True)]
    names = ", ".join(
        f'<tspan fill="{colour}">{escape(line.name)}</tspan>' for line, colour in zip(drawn, COLOURS, strict=True)
    )
    said = f'<text x="{MARGIN}" y="{MARGIN + 12}" font-size="12">{names}: up to {high}</text>'
    ends = f'<text x="{MARGIN}" y="{HEIGHT - 4}" font-size="11">{escape(first)}</text>'
    ends += f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 4}" font-size="11" text-anchor="end">{escape(last)}</text>'
    return _svg("".join(paths) + said + ends)


def _path(line: Line, low: int, high: int, colour: str) -> str:
    values = line.values[:: -(-len(line.values) // POINTS_MAX)]
    step = (WIDTH - 2 * MARGIN) / max(1, len(values) - 1)
    points = " ".join(f"{MARGIN + n * step:.1f},{_height(value, low, high):.1f}" for n, value in enumerate(values))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'


def _height(value: int, low: int, high: int) -> float:
    room = HEIGHT - 2 * MARGIN - 30
    return MARGIN + 15 + room * (high - value) / (high - low)


def bars(counted: Sequence[tuple[str, int]]) -> str:
    """Return a bar for each day, the newest to the right."""
    shown = counted[-POINTS_MAX:]
    if not shown:
        return "<p>Nothing.</p>"
    high, width = max(count for _, count in shown), (WIDTH - 2 * MARGIN) / len(shown)
    drawn = [_bar(MARGIN + n * width, width, count / high, f"{day}: {count}") for n, (day, count) in enumerate(shown)]
    said = f'<text x="{MARGIN}" y="{MARGIN + 8}" font-size="12">up to {high} a day</text>'
    ends = f'<text x="{MARGIN}" y="{HEIGHT - 4}" font-size="11">{escape(shown[0][0])} to {escape(shown[-1][0])}</text>'
    return _svg("".join(drawn) + said + ends)


def _bar(left: float, width: float, share: float, said: str) -> str:
    room = HEIGHT - 2 * MARGIN - 30
    place = f'x="{left:.1f}" y="{MARGIN + 15 + room * (1 - share):.1f}"'
    size = f'width="{max(1.0, min(width - 1, 80)):.1f}" height="{room * share:.1f}"'
    return f'<rect {place} {size} fill="{COLOURS[0]}"><title>{escape(said)}</title></rect>'


def _svg(drawn: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{drawn}</svg>'
