"""Alerts as a person reads them: each trouble once, the newest first."""

from contextlib import closing

import pytest

from app.cli.options import SINCE_EVER
from app.reports.alerts import read_alerts
from app.reports.status import ALERTS_SHOWN
from domain.messages.ops import Alert
from domain.times import datetime_of
from operators.streams.publish import outgoing
from sinks.migrations import migrate
from sinks.notices import NoticeSink
from sinks.postgres import connect
from sinks.queries import ask
from tests.app.conftest import Ballast
from tests.words import START_MS

pytestmark = pytest.mark.postgres


def alert(name: str, at_ms: int, text: str = "look at this") -> Alert:
    """An alert of that name."""
    return Alert(id=name, severity="warning", subject="s", text=text, as_of=START_MS + at_ms)


def tell(dsn: str, *alerts: Alert) -> None:
    """Have them kept, as a flow does."""
    with closing(NoticeSink(dsn).build_part("to_notices", "notices-0", None)) as keeping:
        keeping.write_batch([outgoing(one, one.as_of) for one in alerts])


def test_each_trouble_is_one_line_with_its_last_word(database: str) -> None:
    """However often and in whatever order it was said, it has its last word, its first time, and how often it was said."""
    migrate(database)
    tell(database, alert("a", 5, "worse"), alert("b", 3), alert("a", 1), alert("a", 1))
    since = str(datetime_of(START_MS + 1).isoformat()).replace("+00:00", "Z")
    found = [(one["text"], one["since"], one["times"]) for one in read_alerts(database, SINCE_EVER)["alerts"]]
    assert [("worse", since, 2), ("look at this", since.replace(".001", ".003"), 1)] == found


def test_a_status_has_the_newest(database: str) -> None:
    """So many troubles, each with its last word, however many there were."""
    migrate(database)
    tell(database, *(alert(str(n % 50), n, f"word {n}") for n in range(100)))
    with connect(database, "reader", "test") as connection:
        newest = ask(connection, "treasury_newest_alerts", {"row_limit": ALERTS_SHOWN})
    assert [("word 99", START_MS + 99), ("word 98", START_MS + 98), ("word 97", START_MS + 97)] == [
        (one["text"], one["as_of"]) for one in newest
    ]


def test_alerts_are_shown_since_a_time(database: str, ballast: Ballast) -> None:
    """What was said from then on is shown, in words or as JSON; no broker is needed."""
    migrate(database)
    tell(database, alert("old", 0, "an old one"), alert("new", 3_600_000, "a new one"))
    settings = {"BALLAST_POSTGRES__DSN": database}
    said = ballast("alerts", "--since", "2023-11-14T22:30:00Z", "--json", settings=settings).json()["alerts"]
    assert ["a new one"] == [one["text"] for one in said]
    told = ballast("alerts", settings=settings).out
    assert told.index("a new one") < told.index("an old one")
