"""Alerts and the runbook fit each other and the program: every alert has an entry, and all that they name is there.

The rules are read line by line, in the plain style in which they are written: a YAML reader is not among the dependencies.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli.main import app
from app.reports.metrics import metrics
from app.settings import Archive, Pairing
from domain.treasury.telling import CRITICAL
from sinks.migrations import migrate
from sinks.postgres import connect
from tests.app.reports.test_metrics import STATUS
from tests.app.surroundings import ROOT

RULES = (ROOT / "deploy" / "alerts.yml").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
ALERTS = re.findall(r"(?m)^      - alert: (\w+)$", RULES)
ENTRIES = dict(re.findall(r"(?ms)^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK))
COMMANDS = re.findall(r"(?m)^ballast (.+)$", RUNBOOK) + re.findall(r"`ballast ([^`]+)`", RUNBOOK)
STATEMENTS = [
    text for block in re.findall(r"(?ms)^```sql\n(.*?)^```", RUNBOOK) for text in block.split(";\n") if text.strip()
]


def test_every_alert_has_an_entry_and_every_entry_an_alert() -> None:
    """In the same order, each named once, and the alert leads to its entry."""
    assert len(ALERTS) > 5
    assert ALERTS == list(ENTRIES)
    assert [f"docs/runbook.md#{alert.lower()}" for alert in ALERTS] == re.findall(r"(?m)^          runbook: (.+)$", RULES)


@pytest.mark.parametrize("entry", sorted(ENTRIES))
def test_an_entry_says_what_it_means_where_to_look_and_what_to_do(entry: str) -> None:
    """In this order, and under Look or Do there is something that can be typed."""
    assert ["Means", "Look", "Do"] == re.findall(r"(?m)^\*\*(\w+)\.\*\* ", ENTRIES[entry])
    assert "```" in ENTRIES[entry]


def test_rules_rest_on_metrics_that_are_served() -> None:
    """Every metric and every label that an expression or a sentence names is among those that are exported."""
    families = {family.name: family for family in metrics(STATUS | {"quarantined": {"market.ticks": 1}})}
    expressions = re.findall(r"(?m)^        expr: (.+)$", RULES)
    assert len(ALERTS) == len(expressions)
    named = {name for expression in expressions for name in re.findall(r"ballast_\w+", expression)}
    assert named
    assert named <= families.keys()
    labels = {label for family in families.values() for sample in family.samples for label in sample.labels}
    assert set(re.findall(r"\$labels\.(\w+)", RULES)) | set(re.findall(r"\{(\w+)=", RULES)) <= labels


def _told_by(path: Path) -> Iterator[str]:
    """Every subject that a module tells alerts under: as an argument, by name, or in a pair that it yields."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = {"alert": 0, "_alert": 0, "_doubt": 1, "Trouble": 2}.get(name, len(node.args))
            yield from _texts(*node.args[at : at + 1], *(one.value for one in node.keywords if one.arg == "subject"))
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            yield from _texts(node.value.elts[0])


def _texts(*nodes: ast.expr) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant):
            yield node.value
        elif isinstance(node, ast.IfExp):
            yield from _texts(node.body, node.orelse)


TOLD = sorted(
    {
        subject
        for room in ("domain/treasury", "domain/settlement", "connectors/providers", "flows")
        for path in (ROOT / room).glob("*.py")
        for subject in _told_by(path)
    }
)
"""Every subject that the treasury, the gateway to its providers and the settlement tell alerts under."""


def test_the_walk_finds_subjects() -> None:
    """Those that wake somebody are among what is found, and so are some that no list in the code has."""
    assert CRITICAL <= set(TOLD)
    assert {"provider_not_opened", "job_stale", "sweep_suggested", "vote_refused", "paid_twice"} <= set(TOLD)
    assert {"trade_missing", "link_broken", "pair_changed"} <= set(TOLD)


@pytest.mark.parametrize("subject", TOLD)
def test_every_subject_is_in_the_runbook(subject: str) -> None:
    """One entry says what it means."""
    meant = [entry for entry, text in ENTRIES.items() if f"`{subject}`" in text.split("**Look.**")[0]]
    assert 1 == len(meant), f"{subject} is meant in {meant}"


def test_rules_name_what_is_said() -> None:
    """Each subject in a rule is one that a part of the treasury or the settlement tells under."""
    named = {subject for text in re.findall(r'\{subject=~?"([^"]+)"\}', RULES) for subject in text.split("|")}
    assert len(named) > 3
    assert named <= set(TOLD)


def test_a_leg_is_too_old_for_both_at_the_same_time() -> None:
    """The rule and the setting for the alarm of the flow itself have the same age."""
    assert f"ballast_waiting_legs_oldest_seconds > {Pairing().leg_age_max_seconds}\n" in RULES


def test_an_archive_is_old_when_moments_are_missing() -> None:
    """The rule and the health check leave it the time of several moments, as the settings have them by themselves."""
    seconds = Archive().seconds
    (limit,) = re.findall(r"ballast_archive_age_seconds > (\d+)\n", RULES)
    assert 4 * seconds <= int(limit)
    assert f'"archive", "--limit-seconds", "{4 * seconds}"' in (ROOT / "docker-compose.yml").read_text()


@pytest.mark.parametrize("typed", sorted(set(COMMANDS)))
def test_commands_of_the_runbook_can_be_typed(typed: str) -> None:
    """The command line takes them as they stand there."""
    arguments, command = shlex.split(typed), get_command(app)
    while getattr(command, "commands", None):
        command = command.commands[arguments.pop(0)]  # type: ignore[attr-defined]
    if arguments:
        command.make_context(typed, arguments)


@pytest.mark.postgres
def test_sql_of_the_runbook_runs(database: str) -> None:
    """A reader may run every statement, and none of them changes anything."""
    migrate(database)
    assert len(STATEMENTS) > 5
    with connect(database, "reader", "runbook") as connection, connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        for statement in STATEMENTS:
            connection.execute(statement.encode())
