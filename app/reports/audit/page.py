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
TOP, ROOM = 23, 174
"""Where what is drawn begins below the words, and how high it is at most."""

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
    """A line of a plot: its name, and a value for each time."""

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
    drawn = [Line("owed", _column(owed, "liability_cents")), Line("short", _column(owed, "short_cents"))]
    yield lines(drawn, _column(owed, "at_us"), "cents")
    yield "<h2>Entries per day</h2>"
    yield bars([(row["day"], row["entries"]) for row in entries])
    yield f"<h2>Balances by account</h2>{table(balances)}</html>"


def _column(rows: Table, name: str) -> list[int]:
    return [int(row[name]) for row in rows]


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


def lines(drawn: Sequence[Line], at_us: Sequence[int], unit: str) -> str:
    """Return lines over one scale, which has zero on it, from the first time to the last."""
    if not at_us:
        return "<p>Nothing.</p>"
    every = [value for line in drawn for value in line.values]
    low, high = min(0, *every), max(1, *every)
    paths = [_path(line, at_us, low, high, colour) for line, colour in zip(drawn, COLOURS, strict=True)]
    names = ", ".join(
        f'<tspan fill="{colour}">{escape(line.name)}</tspan>' for line, colour in zip(drawn, COLOURS, strict=True)
    )
    said = _text(MARGIN, MARGIN + 12, f"{names}: up to {high} {unit}")
    ends = _text(MARGIN, HEIGHT - 4, _time(at_us[0])) + _text(WIDTH - MARGIN, HEIGHT - 4, _time(at_us[-1]), "end")
    return _svg("".join(paths) + said + ends)


def _path(line: Line, at_us: Sequence[int], low: int, high: int, colour: str) -> str:
    step = -(-len(at_us) // POINTS_MAX)
    shown = [*list(zip(at_us, line.values, strict=True))[::step], (at_us[-1], line.values[-1])]
    lasting = max(1, at_us[-1] - at_us[0])
    points = " ".join(
        f"{MARGIN + (WIDTH - 2 * MARGIN) * (at - at_us[0]) / lasting:.1f},{_height(value, low, high):.1f}"
        for at, value in shown
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'


def _time(at_us: int) -> str:
    return datetime_of(at_us // 1000).strftime("%Y-%m-%d %H:%M")


def _text(left: int, top: int, said: str, anchor: str = "start") -> str:
    return f'<text x="{left}" y="{top}" font-size="12" text-anchor="{anchor}">{said}</text>'


def _height(value: int, low: int, high: int) -> float:
    return TOP + ROOM * (high - value) / (high - low)


def bars(counted: Sequence[tuple[str, int]]) -> str:
    """Return a bar for each day, the newest to the right."""
    shown = counted[-POINTS_MAX:]
    if not shown:
        return "<p>Nothing.</p>"
    high, width = max(count for _, count in shown), (WIDTH - 2 * MARGIN) / len(shown)
    drawn = [_bar(MARGIN + n * width, width, count / high, f"{day}: {count}") for n, (day, count) in enumerate(shown)]
    said = _text(MARGIN, MARGIN + 8, f"up to {high} a day")
    ends = _text(MARGIN, HEIGHT - 4, f"{escape(shown[0][0])} to {escape(shown[-1][0])}")
    return _svg("".join(drawn) + said + ends)


def _bar(left: float, width: float, share: float, said: str) -> str:
    place = f'x="{left:.1f}" y="{TOP + ROOM * (1 - share):.1f}"'
    size = f'width="{max(1.0, min(width - 1, 80)):.1f}" height="{ROOM * share:.1f}"'
    return f'<rect {place} {size} fill="{COLOURS[0]}"><title>{escape(said)}</title></rect>'


def _svg(drawn: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{drawn}</svg>'
