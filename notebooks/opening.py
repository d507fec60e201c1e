"""Opens the books that a notebook reads: a folder of Parquet in DuckDB, and nothing that has to run.

`sql/audit/views.sql` and `views.sql` here say what there is to ask of. `shown(at_us)` is the time that a notebook shows. A demo
plays a month of prices within minutes, so its books are of minutes, and `archive.json` says of when the bars were: what it
kept is shown at the times of the month, as if that had been played evenly. Of any other folder times are shown as they are.
"""

import atexit
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import marimo as mo

from app.reports.audit.checks import AUDIT, plain
from app.reports.audit.judge import look_into
from domain.errors import BallastError
from domain.times import ms_of
from sinks.archive.manifest import open_archive
from sinks.archive.parquet import Duck, duck
from sinks.archive.reading import snapshot_in

COMMITTED = Path(__file__).parent / "archive"
"""The small archive that is there from the start."""

_VIEWS = Path(__file__).parent / "views.sql"
_LIABILITY_AND_SHORT = AUDIT / "plots_liability_and_short.sql"
_PLAYED = """
SELECT min(at_us), max(at_us), max(n) FROM (
    SELECT at_ms * 1000 AS at_us, row_number() OVER (ORDER BY source, "offset") AS n,
        said ->> '$.price_usd' AS price, lag(price) OVER (ORDER BY source, "offset") AS before
    FROM told WHERE topic = 'market.ticks'
) WHERE price IS DISTINCT FROM before
"""
"""When a demo played the first and the last price of its bars, and how many; what ticks after that is the last price again."""

PRICES_PER_BAR = 4

_SPAN = (
    "SELECT min(at_us), max(at_us) FROM (SELECT recorded_at_us AS at_us FROM batch UNION ALL SELECT at_ms * 1000 FROM told)"
)

Row = dict[str, Any]


class Books(NamedTuple):
    """A folder that is as its manifest says, open to be asked."""

    folder: Path
    about: Mapping[str, Any]
    duck: Duck

    def ask(self, query: str, **values: object) -> list[Row]:
        """Return the rows of a query: amounts whole and exact, anything else that is no number as text."""
        found = self.duck.execute(query, values) if values else self.duck.execute(query)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, map(plain, row), strict=True)) for row in found.fetchall()]


def open_books(folder: Path) -> Books:
    """Open a folder, a snapshot or an archive that goes on; ConfigError is the one sentence that says what is wrong with it."""
    stack = ExitStack()
    atexit.register(stack.close)
    scratch = Path(stack.enter_context(TemporaryDirectory(prefix="ballast-notebook-")))
    archive = open_archive(snapshot_in(folder, scratch))
    opened = stack.enter_context(duck(scratch))
    look_into(opened, archive)
    short = _LIABILITY_AND_SHORT.read_text(encoding="utf-8").strip().rstrip(";")
    views = _VIEWS.read_text(encoding="utf-8")
    opened.execute(views.format(liability_and_short=short, **_times(archive.about, opened)))
    return Books(archive.folder, archive.about, opened)


def open_or_say(folder: str) -> Books:
    """Open a folder. Where that cannot be, a page says why and stops; a script says it too, and ends with the error's code."""
    try:
        return open_books(Path(folder))
    except BallastError as error:
        if mo.running_in_notebook():
            mo.stop(True, mo.callout(str(error), kind="danger"))
        sys.stderr.write(f"ballast: {error}\n")
        raise SystemExit(error.exit_code) from None


def us_of(text: str) -> int:
    """Return the microseconds of a time that a person typed, in UTC if it has no zone."""
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        said = f"{text} is no time in ISO 8601, such as 2026-01-16 or 2026-01-16T12:30"
        if mo.running_in_notebook():
            mo.stop(True, mo.callout(said, kind="danger"))
        sys.stderr.write(f"ballast: {said}\n")
        raise SystemExit(2) from None
    return ms_of(read.replace(tzinfo=UTC) if read.tzinfo is None else read) * 1000


def _times(about: Mapping[str, Any], opened: Duck) -> dict[str, int]:
    """Return in microseconds how times become those that are shown, and from when on and how long there is anything."""
    since, until = opened.execute(_SPAN).fetchone() or (None, None)
    spans = {"since": since or 0, "until": until or 0}
    began, ended, prices = opened.execute(_PLAYED).fetchone() or (None, None, 0)
    if "history" not in about or began is None or began == ended:
        return {"first": 0, "began": 0, "long": 1, "lasted": 1, **spans}
    history = about["history"]
    long = (prices - 1) * history["step_ms"] * 1000 // PRICES_PER_BAR
    return {"first": us_of(history["first"]), "began": began, "long": long, "lasted": ended - began, **spans}
