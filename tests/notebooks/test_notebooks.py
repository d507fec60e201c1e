"""The notebooks, as scripts over the small archive that is there from the start: without a server, and their plots show what SQL
says."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from notebooks.opening import COMMITTED, Books, open_books
from sinks.archive.manifest import FORMAT
from tests.app.surroundings import CONFIG_ERROR, ROOT, Said, environment, run_ballast
from tests.waiting import PATIENCE_SECONDS

FOLDER = ROOT / "notebooks"
NAMES = ("daily_audit", "hedging_month", "incident", "month_end")
OPENS = {"app.reports.audit.checks", "app.reports.audit.judge", "domain.errors", "domain.times", "sinks.archive"}
"""What opens a folder: all of ours that a notebook may know."""

SINCE, UNTIL = "2026-01-10", "2026-01-21"
PERIODS = {"incident": ("--since", SINCE, "--until", UNTIL)}


class Ran(NamedTuple):
    """What a notebook said, and where its plots are."""

    said: Said
    plots: Path


Runs = Callable[[str], Ran]


def run_notebook(name: str, *arguments: str, cwd: Path) -> Said:
    """Run a notebook as a script, in a process of its own."""
    typed = [sys.executable, str(FOLDER / f"{name}.py"), "--", *arguments]
    done = subprocess.run(
        typed, cwd=cwd, env=environment({}), capture_output=True, timeout=PATIENCE_SECONDS, check=False, text=True
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs a notebook once; its plots are kept as output of the tests if BALLAST_TEST_OUTPUT names a folder."""
    named = os.environ.get("BALLAST_TEST_OUTPUT")
    plots = Path(named).resolve() / "notebooks" if named else tmp_path_factory.mktemp("notebooks")
    plots.parent.mkdir(parents=True, exist_ok=True)
    return cache(
        lambda name: Ran(run_notebook(name, "--plots", str(plots), *PERIODS.get(name, ()), cwd=plots.parent), plots)
    )


@pytest.fixture(scope="module")
def books() -> Books:
    """The small archive."""
    return open_books(COMMITTED)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("daily_audit", ["pass: a snapshot of 2026-"]),
        ("hedging_month", ["trading fees: ", "funding rate: -"]),
        ("incident", [f"events from {SINCE} to {UNTIL}"]),
        ("month_end", ["balances proven: ", " 0 break a promise", "trial balance: BTC debit "]),
    ],
)
def test_a_notebook_runs_as_a_script(name: str, words: list[str], runs: Runs) -> None:
    """From a folder alone, with nothing that runs and no setting; it says in words what it found."""
    said = runs(name).said
    assert (0, "") == (said.code, said.err)
    assert [] == [word for word in words if word not in said.out]


BETWEEN = f"shown(at_us) >= epoch_us(TIMESTAMP '{SINCE}') AND shown(at_us) < epoch_us(TIMESTAMP '{UNTIL}')"
EVENTS = f"""
SELECT (SELECT count(*) FROM users WHERE {BETWEEN}) + (SELECT count(*) FROM fill WHERE {BETWEEN})
    + (SELECT count(*) FROM decision WHERE {BETWEEN.replace("at_us", "as_of_us")})
    + (SELECT count(*) FROM request_change WHERE {BETWEEN.replace("at_us", "changed_at_us")})
    + (SELECT count(*) FROM alert WHERE {BETWEEN.replace("at_us", "as_of_us")})
    + (SELECT count(*) FROM leg_refusal WHERE {BETWEEN.replace("at_us", "as_of_us")})
    + (SELECT count(*) FROM quarantine WHERE {BETWEEN.replace("at_us", "recorded_at_us")})
    + (SELECT count(*) FROM reject JOIN batch USING (batch_id) WHERE {BETWEEN.replace("at_us", "recorded_at_us")})
"""  # noqa: S608 - built of constants
BARS, TICKS, LINES = "bar", "tick", "line mark"
PLOTS: list[tuple[str, str, str, str, int]] = [
    ("daily_audit", "owed_and_short", LINES, "SELECT 2 * count(DISTINCT part(at_us)) FROM hedge", 2),
    (
        "daily_audit",
        "entries",
        BARS,
        "SELECT count(DISTINCT part(recorded_at_us) // 8) FROM entry JOIN batch USING (batch_id)",
        0,
    ),
    ("hedging_month", "price", LINES, "SELECT count(DISTINCT part(at_us)) FROM price", 1),
    ("hedging_month", "exposure", LINES, "SELECT 2 * count(DISTINCT part(at_us)) FROM hedge", 2),
    (
        "hedging_month",
        "ratio",
        LINES,
        "SELECT count(DISTINCT part(at_us)) FROM hedge WHERE owed_cents > 0 AND short_cents > 0",
        1,
    ),
    ("hedging_month", "leverage", LINES, "SELECT count(DISTINCT part(c.at_us)) FROM collateral c WHERE trading_sats > 0", 1),
    (
        "hedging_month",
        "costs",
        LINES,
        "SELECT 4 * count(DISTINCT part(at_us)) FROM (SELECT at_us FROM fill UNION ALL "
        "SELECT at_us FROM cash WHERE kind IN ('fee', 'funding_payment', 'withdrawal_fee'))",
        4,
    ),
    ("incident", "incident", TICKS, EVENTS, 0),
    ("month_end", "changes", BARS, "SELECT count(DISTINCT account_id) FROM entry WHERE currency = 'BTC' AND layer = 1", 0),
    ("month_end", "attribution", BARS, "SELECT 8", 0),
]


@pytest.mark.parametrize(("notebook", "plot", "mark", "query", "drawn"), PLOTS)
def test_a_plot_shows_every_row(
    notebook: str, plot: str, mark: str, query: str, drawn: int, runs: Runs, books: Books
) -> None:
    """It is handed as many rows as SQL counts, and draws a mark for each, or a line through all points for each name."""
    ran = runs(notebook)
    (row,) = books.ask(query)
    (expected,) = row.values()
    rows = points(json.loads((ran.plots / f"{plot}.json").read_text()), mark)
    assert expected == len(rows) > 0
    assert [] == [one for one in rows if None in one.values()]
    svg = (ran.plots / f"{plot}.svg").read_text()
    assert "NaN" not in svg
    marks = re.findall(rf'<path [^>]*aria-roledescription="{mark}"[^>]*>', svg)
    assert (drawn or expected) == len(marks)
    if drawn:
        assert sum(len(re.findall("[MLHV]", one.split(' d="')[1])) for one in marks) >= expected
    assert (ran.plots / f"{plot}.png").read_bytes().startswith(b"\x89PNG")


def points(spec: dict[str, Any], mark: str) -> list[dict[str, Any]]:
    """The rows that the layer with this mark is drawn from."""
    kinds = {BARS: "bar", TICKS: "tick", LINES: "line"}
    layers = [part for part in walked(spec) if kinds[mark] == part.get("mark", {}).get("type")]
    assert layers, "no layer has this mark"
    data = layers[0].get("data", spec.get("data"))
    values = data["values"] if "values" in data else spec["datasets"][data["name"]]
    return list(values)


def walked(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """A specification and all that it is made of, data handed down from what has it."""
    parts = [part for kind in ("layer", "vconcat") for part in spec.get(kind, [])]
    data = {"data": spec["data"]} if "data" in spec else {}
    return [spec, *(deeper for part in parts for deeper in walked(data | part))]


def test_what_a_demo_played_is_shown_at_the_times_of_its_bars(books: Books) -> None:
    """From the beginning of the month to its last hour; three prices of the ticks were typed, and are no quarter of a bar."""
    (row,) = books.ask(
        """
        SELECT shown(min(at_us)) - epoch_us(TIMESTAMP '2026-01-01') AS early,
            epoch_us(TIMESTAMP '2026-02-01') - max(shown(at_us)) FILTER (WHERE price_usd IS DISTINCT FROM before) AS late
        FROM (SELECT *, lag(price_usd) OVER (ORDER BY source, "offset") AS before FROM tick)
        """
    )
    hour_us = 3_600_000_000
    assert 0 == row["early"]
    assert abs(row["late"]) < hour_us


def test_the_profit_is_explained(runs: Runs, books: Books) -> None:
    """But for the roundings of the exchange, of which there is less than a satoshi at each of its lines and fills."""
    (line,) = [line for line in runs("month_end").said.out.splitlines() if line.startswith("unexplained rest: ")]
    rest = Decimal(line.split()[2])
    (counted,) = books.ask("SELECT (SELECT count(*) FROM cash) + (SELECT count(*) FROM fill) AS events")
    assert abs(rest) < counted["events"]


def test_a_trial_balance_has_equal_sides(runs: Runs) -> None:
    """Per currency, at the end of the month."""
    line = next(line for line in runs("month_end").said.out.splitlines() if line.startswith("trial balance"))
    sides = re.findall(r"(\w{3}) debit (\d+), credit (\d+)", line)
    assert [("BTC", True), ("USD", True)] == [(currency, debit == credit != "0") for currency, debit, credit in sides]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_not_there_is_one_sentence(name: str, tmp_path: Path) -> None:
    """It names the folder and what makes one, and ends as a command does."""
    said = run_notebook(name, "--folder", "nowhere", cwd=tmp_path)
    assert (CONFIG_ERROR, "") == (said.code, said.out)
    assert 1 == len(said.err.splitlines()), said.err
    assert "nowhere/archive.json" in said.err
    assert "ballast audit --keep DIR" in said.err


def test_a_folder_that_is_no_archive_is_one_sentence(tmp_path: Path) -> None:
    """Also where it has a file of that name."""
    (tmp_path / "archive.json").write_text("[]")
    said = run_notebook("incident", "--folder", str(tmp_path), cwd=tmp_path)
    assert (CONFIG_ERROR, "", 1) == (said.code, said.out, len(said.err.splitlines())), said.err


def test_an_archive_of_the_first_version_is_audited(tmp_path: Path) -> None:
    """The committed folder is as it was written then, whatever the program writes today, and passes."""
    assert FORMAT >= json.loads((COMMITTED / "archive.json").read_text())["format"] == 1
    said = run_ballast("audit", str(COMMITTED), "--json", cwd=tmp_path)
    report = said.json()
    assert (0, "pass") == (said.code, report["verdict"])
    assert {"I1", "I2", "I3", "I4", "I5", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I15"} == {
        check["invariant"] for check in report["checks"] if check["checked"]
    }


def test_its_ledger_as_csv_is_verified(tmp_path: Path) -> None:
    """Every hash and balance of hundreds of batches, on two shards, from files that were made without a server."""
    assert 0 == run_ballast("ledger", "export", "exported", "--from", str(COMMITTED), cwd=tmp_path).code
    said = run_ballast("ledger", "verify", "--from", "exported", "--json", cwd=tmp_path)
    report = said.json()
    assert (0, True) == (said.code, report["is_intact"])
    assert report["batches"] > 100
    assert 2 == len(report["heads"])


def test_a_notebook_knows_only_what_opens_a_folder() -> None:
    """Whoever reads one sees SQL, and nothing of how the books were written."""
    for path in FOLDER.glob("*.py"):
        froms = [node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        ours = {
            name for name in froms if name.split(".")[0] in ("app", "flows", "operators", "sinks", "connectors", "domain")
        }
        assert {name for name in ours if not any(name == known or name.startswith(f"{known}.") for known in OPENS)} == set()
