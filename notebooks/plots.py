"""Plots that read well on paper: black and grey, lines told apart by their dashes, a unit on every axis, times in UTC.

A picture is no proof: here, on their way to a place on a page, numbers become floats, and nowhere else. With `--plots DIR` a
notebook keeps each of its plots there, as a picture and as the Vega-Lite that it is drawn from.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import marimo as mo

Row = Mapping[str, Any]

WIDTH, HEIGHT = 720, 200
INKS = ("#111111", "#b3541e", "#5b7fa6", "#8a8a8a")
DASHES = ([1, 0], [6, 3], [2, 2], [9, 3, 2, 3])
TIME = "time (UTC)"


def lines(
    rows: Sequence[Row], columns: Mapping[str, str], title: str, unit: str, *, per: int = 1, zero: bool = False
) -> Any:
    """Draw columns of rows over `at_us`, each under its name; a value stays until the next. `per` is how many make a unit."""
    values = [_point(row, column, name, per) for row in rows for column, name in columns.items()]
    names = [*columns.values()]
    legend = alt.Legend(title=None, orient="top", symbolSize=600) if len(names) > 1 else None
    return (
        _chart(values, title)
        .mark_line(interpolate="step-after", strokeWidth=1.5)
        .encode(
            x=_time(),
            y=alt.Y("value:Q", title=unit, scale=alt.Scale(zero=zero)),
            color=alt.Color("name:N", scale=alt.Scale(domain=names, range=[*INKS[: len(names)]]), legend=legend),
            strokeDash=alt.StrokeDash("name:N", scale=alt.Scale(domain=names, range=[*DASHES[: len(names)]]), legend=legend),
        )
    )


def band(rows: Sequence[Row], low: str, high: str, title: str, unit: str, *, per: int = 1) -> Any:
    """Draw what lies between two columns of rows, in grey, to be laid under lines."""
    values = [{"at": row["at_us"] / 1000, "low": row[low] / per, "high": row[high] / per} for row in rows]
    return (
        _chart(values, title)
        .mark_area(interpolate="step-after", color="#d0d0d0")
        .encode(x=_time(), y=alt.Y("low:Q", title=unit), y2="high:Q")
    )


def rules(levels: Mapping[str, float]) -> Any:
    """Draw levels across a plot, each with its name at the right."""
    values = [{"level": level, "name": name} for name, level in levels.items()]
    drawn = alt.Chart(alt.InlineData(values=values)).encode(y="level:Q")
    named = drawn.mark_text(align="right", dy=-6, fontSize=11, color="#444444")
    return drawn.mark_rule(strokeDash=[3, 3], color="#666666") + named.encode(x=alt.value(WIDTH), text="name:N")


def ticks(rows: Sequence[Row], lanes: Sequence[str], title: str) -> Any:
    """Draw a mark for each row at `at_us`, in the lane that its `kind` names."""
    values = [{"at": row["at_us"] / 1000, "kind": row["kind"], "what": row["what"]} for row in rows]
    return (
        _chart(values, title, 24 * len(lanes))
        .mark_tick(thickness=1.5, size=16, color=INKS[0])
        .encode(
            x=_time(),
            y=alt.Y("kind:N", title=None, scale=alt.Scale(domain=[*lanes]), axis=alt.Axis(grid=True)),
            tooltip="what:N",
        )
    )


def bars(rows: Sequence[Row], name: str, column: str, title: str, unit: str, *, per: int = 1) -> Any:
    """Draw a bar for each row, in their order, with its value at its end."""
    values = [{"name": row[name], "value": row[column] / per, "said": f"{int(row[column] / per):,}"} for row in rows]
    drawn = _chart(values, title, 26 * max(1, len(values))).encode(
        x=alt.X("value:Q", title=unit, axis=alt.Axis(tickCount=6)),
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
    )
    marks = drawn.mark_bar(height=14).encode(
        color=alt.condition("datum.value < 0", alt.value(INKS[1]), alt.value("#444444"))
    )
    return marks + drawn.mark_text(align="left", dx=4, fontSize=11).encode(
        text="said:N", x=alt.X("most:Q")
    ).transform_calculate(most="max(0, datum.value)")


def counts(rows: Sequence[Row], column: str, title: str, unit: str) -> Any:
    """Draw a narrow bar for each row at `at_us`."""
    values = [{"at": row["at_us"] / 1000, "value": row[column]} for row in rows]
    width = max(1.0, WIDTH / max(1, len(values)) - 1)
    return _chart(values, title).mark_bar(width=width, color="#444444").encode(x=_time(), y=alt.Y("value:Q", title=unit))


def below(strips: Sequence[Any]) -> Any:
    """Put plots below each other, over one time."""
    return alt.vconcat(*strips).resolve_scale(x="shared", color="independent", strokeDash="independent")


def keep(name: str, plot: Any) -> Any:
    """Return the plot, which is kept in the folder of `--plots` if there is one."""
    folder = mo.cli_args().get("plots")
    if folder:
        place = Path(str(folder))
        place.mkdir(parents=True, exist_ok=True)
        for kind in ("json", "svg", "png"):
            plot.save(place / f"{name}.{kind}")
    return plot


def _chart(values: Sequence[Row], title: str, height: int = HEIGHT) -> Any:
    return alt.Chart(alt.InlineData(values=[*values]), title=alt.Title(title, anchor="start"), width=WIDTH, height=height)


def _time() -> alt.X:
    return alt.X(
        "at:T", title=TIME, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b %H:%M", tickCount=8, labelOverlap=True)
    )


def _point(row: Row, column: str, name: str, per: int) -> dict[str, object]:
    return {"at": row["at_us"] / 1000, "name": name, "value": None if row[column] is None else row[column] / per}
