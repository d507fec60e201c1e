"""The command line: help with examples, one sentence for what a person can mend, one JSON object for programs."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from typer.main import get_command

from app.cli import app
from app.produce import EXAMPLES
from connectors.embedded import embedded_postgres
from domain.topics import BY_NAME
from tests.app.conftest import Ballast
from tests.app.surroundings import Running, Said

NOWHERE = "127.0.0.1:1"
PASSWORD = "correct-horse-battery"  # noqa: S105 - one that must never be shown
CONFIG_ERROR = 78


def _commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    yield path, group
    for name, command in sorted(getattr(group, "commands", {}).items()):
        yield from _commands(command, (*path, name))


COMMANDS = {" ".join(path): command for path, command in _commands(get_command(app)) if path}


def assert_one_sentence(said: Said, *words: str, code: int = CONFIG_ERROR) -> None:
    """Non-zero exit, nothing on standard output, and one line on standard error with these words in it."""
    assert (code, "") == (said.code, said.out), said
    lines = said.err.splitlines()
    assert 1 == len(lines), said.err
    assert lines[0].startswith("ballast: ")
    assert not [word for word in words if word not in lines[0]], lines[0]


def test_there_are_commands() -> None:
    """The list that the next test runs over is not empty."""
    assert {"demo", "run", "produce", "replay", "status", "migrate", "schemas"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    """Its help says what it does, describes every option, and shows an example that the command's parser takes."""
    command = COMMANDS[name]
    text = command.help or ""  # type: ignore[attr-defined]
    assert text.strip()
    if getattr(command, "commands", None):
        return
    examples = [line.split("Example:")[1] for line in text.splitlines() if "Example:" in line]
    assert 1 == len(examples)
    words = [word for word in shlex.split(examples[0]) if "=" not in word]
    assert ["ballast", *name.split()] == words[: 1 + len(name.split())]
    arguments = words[1 + len(name.split()) :]
    stop = next((at for at, word in enumerate(arguments) if word in "|>"), len(arguments))
    command.make_context(name, arguments[:stop])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", *sorted(COMMANDS)])
def test_help_is_shown(name: str, ballast: Ballast) -> None:
    """`--help` is understood everywhere and lists its options."""
    said = ballast(*name.split(), "--help")
    assert (0, "") == (said.code, said.err)
    assert "Usage:" in said.out


@pytest.mark.parametrize("topic", sorted(EXAMPLES))
def test_examples_can_be_typed(topic: str, ballast: Ballast) -> None:
    """`produce --example` prints lines that fit the topic's model, without any broker."""
    said = ballast("produce", topic, "--example")
    assert (0, "") == (said.code, said.err)
    lines = said.out.splitlines()
    assert lines
    for line in lines:
        BY_NAME[topic].model.model_validate_json(line)


@pytest.mark.broker
@pytest.mark.postgres
def test_examples_are_accepted(running: Running) -> None:
    """What `produce --example` prints is what `produce` takes: every line is sent and acknowledged."""
    examples = running.ballast("produce", "market.ticks", "--example").out
    said = running.ballast("produce", "market.ticks", "--json", stdin=examples.encode())
    assert (0, "") == (said.code, said.err)
    assert {"topic": "market.ticks", "sent": 1, "refused": 0} == said.json()


@pytest.mark.broker
@pytest.mark.postgres
def test_lines_that_do_not_fit_are_named(running: Running) -> None:
    """Each refused line is named by its number with the reason; the others are sent; the exit code is 1."""
    good = json.loads(EXAMPLES["market.ticks"][0])
    lines = [json.dumps(good), "", "not json", json.dumps(good | {"price_usd": 1.5}), json.dumps(good)]
    said = running.ballast("produce", "market.ticks", "--json", stdin="\n".join(lines).encode())
    assert 1 == said.code
    assert {"topic": "market.ticks", "sent": 2, "refused": 2} == said.json()
    first, second = said.err.splitlines()
    assert first.startswith("line 3 was not sent: not_json")
    assert second.startswith("line 4 was not sent: invalid: price_usd")


def test_no_broker(ballast: Ballast) -> None:
    """A broker that does not answer is named, with the setting to change."""
    settings = {"BALLAST_KAFKA__BOOTSTRAP": NOWHERE}
    said = ballast("produce", "market.ticks", settings=settings, stdin=EXAMPLES["market.ticks"][0].encode())
    assert_one_sentence(said, NOWHERE, "kafka.bootstrap")


@pytest.mark.parametrize("command", ["status", "produce market.ticks", "migrate"])
def test_nothing_runs(command: str, ballast: Ballast) -> None:
    """Without settings and without a demo, a command that needs one says how to start one."""
    assert_one_sentence(ballast(*command.split()), "ballast demo", "ballast-data")


@pytest.mark.parametrize("command", ["status", "migrate", "run", "demo --seconds 1 --json"])
def test_no_database(command: str, ballast: Ballast, broker: str) -> None:
    """A database that does not answer is one sentence that names the setting."""
    settings = {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": f"postgresql://u:{PASSWORD}@{NOWHERE}/x"}
    said = ballast(*command.split(), settings=settings)
    assert_one_sentence(said, "Connection refused", "postgres.dsn")
    assert PASSWORD not in said.err


def test_a_database_that_is_not_there(ballast: Ballast, broker: str, server: str) -> None:
    """The server's own words say which database there is not."""
    dsn = make_conninfo(server, dbname="nobody_made_this")
    said = ballast("migrate", settings={"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn})
    assert_one_sentence(said, "nobody_made_this", "postgres.dsn")


def test_a_database_that_is_not_prepared(ballast: Ballast, broker: str, database: str) -> None:
    """A database without the schema says that it has to be migrated."""
    said = ballast("status", settings={"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": database})
    assert_one_sentence(said, "ballast migrate")


def test_a_dsn_that_cannot_be_read(ballast: Ballast, broker: str) -> None:
    """A broken DSN is not repeated, since there is a password in it."""
    dsn = f"postgresql://u:{PASSWORD} x@localhost/x"
    said = ballast("migrate", settings={"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn})
    assert_one_sentence(said, "postgres.dsn", "postgresql://user:password@host/database")
    assert PASSWORD not in said.err


def test_a_wrong_password(ballast: Ballast, broker: str, folder: Path) -> None:
    """The refusal of the server is passed on, the password is not."""
    with embedded_postgres(folder / "postgres") as server:
        _ask_for_passwords(server, folder / "postgres")
        dsn = make_conninfo(server, user="careful", password=PASSWORD)
        said = ballast("migrate", settings={"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn})
    assert_one_sentence(said, "password authentication failed", "careful", "postgres.dsn")
    assert PASSWORD not in said.err


def _ask_for_passwords(server: str, data: Path) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE careful LOGIN PASSWORD 'another one'")
        rules = data / "pg_hba.conf"
        rules.write_text("local all careful scram-sha-256\nhost all careful all scram-sha-256\n" + rules.read_text())
        connection.execute("SELECT pg_reload_conf()")


def test_an_unknown_topic(ballast: Ballast) -> None:
    """The topics that there are are listed."""
    assert_one_sentence(ballast("produce", "dealer.transaction"), "dealer.transaction", "dealer.transactions, ")


def test_a_topic_that_people_do_not_write_to(ballast: Ballast) -> None:
    """There is no example for a topic that Ballast writes."""
    assert_one_sentence(ballast("produce", "user.trades", "--example"), "user.trades", "dealer.transactions")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[kafka]\nbootstrp = 'x'\n", ("kafka.bootstrp", "ballast.example.toml")),
        ("[kafak]\n", ("kafak", "ballast.example.toml")),
        ("[pairing]\nshards = 'many'\n", ("pairing.shards", "integer")),
        ("[pairing]\nshards = 0\n", ("pairing.shards", "greater than 0")),
        ("[hedging]\npolicy = 'bold'\n", ("hedging.policy", "'guarded' or 'reference'")),
        ("[kafka\n", ("settings.toml", "line 1")),
        ("\xff", ("settings.toml",)),
    ],
)
def test_bad_settings(toml: str, words: tuple[str, ...], ballast: Ballast, tmp_path: Path) -> None:
    """A settings file that is wrong says where."""
    (tmp_path / "settings.toml").write_bytes(toml.encode("latin-1"))
    assert_one_sentence(ballast("status", "--config", "settings.toml"), *words)


@pytest.mark.parametrize(("name", "value"), [("BALLAST_KAFKA__BOOTSTRP", "x"), ("BALLAST_RUN__EPOCH_MS", "soon")])
def test_bad_settings_in_the_environment(name: str, value: str, ballast: Ballast) -> None:
    """A variable that is wrong is named like the setting that it stands for."""
    setting = name.removeprefix("BALLAST_").lower().replace("__", ".")
    assert_one_sentence(ballast("status", settings={name: value}), setting)


@pytest.mark.parametrize("settings", [{}, {"BALLAST_CONFIG": "missing.toml"}])
def test_a_missing_settings_file(settings: dict[str, str], ballast: Ballast) -> None:
    """A settings file that is named has to be there."""
    arguments = [] if settings else ["--config", "missing.toml"]
    assert_one_sentence(ballast("status", *arguments, settings=settings), "missing.toml", "ballast.example.toml")


@pytest.mark.parametrize("ending", [["--seconds", "1"], []])
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, ("prices.csv", "timestamp,open,high,low,close,volume")),
        ("", ("prices.csv", "no bars")),
        ("1,100,101,99,100,1\n2,100,101,nonsense,100,1\n", ("prices.csv", "line 2")),
        ("1,100,99,101,100,1\n", ("prices.csv", "line 1")),
    ],
)
def test_bad_prices(rows: str | None, words: tuple[str, ...], ending: list[str], ballast: Ballast, tmp_path: Path) -> None:
    """A price file that is missing, empty or wrong in a row stops the demo before anything starts."""
    if rows is not None:
        (tmp_path / "prices.csv").write_text(rows)
    assert_one_sentence(ballast("demo", "--prices", "prices.csv", *ending), *words)
    assert not (tmp_path / "ballast-data").exists()


@pytest.mark.parametrize("folder_is_there", [True, False])
def test_a_replay_of_nothing(folder_is_there: bool, ballast: Ballast, tmp_path: Path) -> None:
    """A folder without recorded topics says how to record some."""
    if folder_is_there:
        (tmp_path / "empty").mkdir()
    assert_one_sentence(ballast("replay", "empty", "--out", "out"), "empty", "ballast demo --record")


def test_a_replay_of_a_damaged_line(ballast: Ballast, tmp_path: Path) -> None:
    """A recorded line that lost a part is named by file and number."""
    (tmp_path / "market.ticks.jsonl").write_text('{"at_ms":1,"partition":0,"value":"{}"}\n')
    assert_one_sentence(ballast("replay", ".", "--out", "out"), "market.ticks.jsonl, line 1", "offset")


def test_an_unknown_flow(ballast: Ballast) -> None:
    """The flows that there are are listed, and nothing is started."""
    assert_one_sentence(ballast("run", "liabilities"), "liabilities", "everything, liability, hedging, execution")


@pytest.mark.broker
@pytest.mark.postgres
@pytest.mark.parametrize("command", ["demo --seconds 1 --json", "run"])
def test_a_second_one_over_the_same_folder(command: str, running: Running) -> None:
    """It stops with one sentence that names the first, and the first loses nothing by it."""
    recovery = sorted((running.folder / "recovery").rglob("*.sqlite3"))
    said = running.ballast(*command.split())
    assert_one_sentence(said, f"process {running.process.pid}", str(running.folder), "data.folder")
    assert recovery == sorted((running.folder / "recovery").rglob("*.sqlite3"))
    assert 0 == running.ballast("status").code


@pytest.mark.broker
@pytest.mark.postgres
def test_status_and_migrate_report_as_json(running: Running) -> None:
    """`--json` prints one object, and a second migration finds nothing to do."""
    assert {"trades", "liability_cents", "orders", "waiting_legs", "quarantined"} <= running.ballast(
        "status", "--json"
    ).json().keys()
    assert {"migrations_applied": [], "topics_created": []} == running.ballast("migrate", "--json").json()


def test_schemas_report_as_json(ballast: Ballast) -> None:
    """`schemas --check --json` prints one object."""
    assert {"drifted"} == ballast("schemas", "--check", "--json").json().keys()


def test_usage_errors_have_an_exit_code_of_their_own(ballast: Ballast) -> None:
    """A command that is typed wrong exits with 2, as everywhere."""
    said = ballast("demo", "--second", "1")
    assert (2, "") == (said.code, said.out)
    assert "--second" in said.err
