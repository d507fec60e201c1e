"""The command line: help with examples, one sentence for what a person can mend, one JSON object for programs."""

import json
import shlex
import subprocess
from codecs import BOM_UTF8
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from typer.main import get_command

from app.cli.main import app
from connectors.embedded.postgres import embedded_postgres
from domain.messages.market import Tick
from domain.topics import BY_NAME, TOPICS
from tests.app.conftest import Ballast
from tests.app.surroundings import Running, assert_one_sentence, ended, environment, unused_name
from tests.app.surroundings import command as typed
from tests.canary import CANARY
from tests.waiting import until
from tests.words import pair

NOWHERE = "127.0.0.1:1"


def _commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    yield path, group
    for name, command in sorted(getattr(group, "commands", {}).items()):
        yield from _commands(command, (*path, name))


COMMANDS = {" ".join(path): command for path, command in _commands(get_command(app)) if path}


def test_there_are_commands() -> None:
    """The list that the next test runs over is not empty."""
    assert {"demo", "run", "produce", "replay", "status", "migrate", "schemas"} <= COMMANDS.keys()


def test_the_version_is_told(ballast: Ballast) -> None:
    """The one that is installed."""
    assert (0, f"ballast {metadata.version('ballast')}\n", "") == ballast("--version")


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


@pytest.mark.parametrize("topic", sorted(topic.name for topic in TOPICS if topic.model.examples))
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
    """What `produce --example` prints is what `produce` takes, also saved with a byte order mark: every line is acknowledged."""
    examples = running.ballast("produce", "market.ticks", "--example").out
    said = running.ballast("produce", "market.ticks", "--json", stdin=BOM_UTF8 + examples.encode())
    assert (0, "") == (said.code, said.err)
    assert {"topic": "market.ticks", "sent": 1, "refused": 0} == said.json()


@pytest.mark.broker
@pytest.mark.postgres
def test_lines_that_do_not_fit_are_named(running: Running) -> None:
    """Each refused line is named by its number with the reason; the others are sent; the exit code is 1."""
    good = json.loads(Tick.examples[0])
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
    said = ballast("produce", "market.ticks", settings=settings, stdin=Tick.examples[0].encode())
    assert_one_sentence(said, NOWHERE, "kafka.bootstrap")


@pytest.mark.parametrize(
    ("topic", "key", "words"),
    [
        ("venue.fills", "simulated", "ballast ledger reverse"),
        ("dealer.transactions", "b1", "ballast ledger reverse"),
        ("venue.positions", "simulatde", "no book hears of simulatde on venue.positions; there are simulated"),
        ("market.ticks", "BTC", "there are BTC-USD-SWAP"),
        ("venue.nothing", "simulated", "there is no topic venue.nothing"),
    ],
)
def test_what_cannot_be_corrected_is_one_sentence(topic: str, key: str, words: str, ballast: Ballast) -> None:
    """What is booked is taken back in the ledger, and of what no book hears nothing can be forgotten."""
    assert_one_sentence(ballast("correct", topic, key, "--why", "a slip"), words)


@pytest.mark.parametrize("command", ["status", "produce market.ticks", "migrate"])
def test_nothing_runs(command: str, ballast: Ballast) -> None:
    """Without settings and without a demo, a command that needs one says how to start one."""
    assert_one_sentence(ballast(*command.split()), "ballast demo", "ballast-data")


@pytest.mark.parametrize("command", ["status", "migrate", "run", "demo --seconds 1 --json"])
def test_no_database(command: str, ballast: Ballast, broker: str) -> None:
    """A database that does not answer is one sentence that names the setting."""
    settings = {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": f"postgresql://u:{CANARY}@{NOWHERE}/x"}
    said = ballast(*command.split(), settings=settings)
    assert_one_sentence(said, "Connection refused", "postgres.dsn")
    assert CANARY not in said.err


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
    dsn = f"postgresql://u:{CANARY} x@localhost/x"
    said = ballast("migrate", settings={"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn})
    assert_one_sentence(said, "postgres.dsn", "postgresql://user:password@host/database")
    assert CANARY not in said.err


def test_a_wrong_password(ballast: Ballast, broker: str, folder: Path) -> None:
    """The refusal of the server is passed on, the password is not."""
    with embedded_postgres(folder / "postgres") as server:
        _ask_for_passwords(server, folder / "postgres")
        dsn = make_conninfo(server, user="careful", password=CANARY)
        said = ballast("migrate", settings={"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn})
    assert_one_sentence(said, "password authentication failed", "careful", "postgres.dsn")
    assert CANARY not in said.err


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
        ("[pairing]\nmemory_seconds = 'many'\n", ("pairing.memory_seconds", "integer")),
        ("[pairing]\nmemory_seconds = 0\n", ("pairing.memory_seconds", "greater than 0")),
        ("[hedging]\nrules = 'bold'\n", ("hedging.rules", "'guarded' or 'reference'")),
        ("[venues.simulated]\nurl = 'foo'\n", ("venues.simulated.url", "foo is no address such as http://")),
        ("[venues.simulated]\nurl = 'http://localhost:99999'\n", ("venues.simulated.url", "99999 is no address")),
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
        ("1640995200,100,101,99,100,1\n1640995260,100,101,nonsense,100,1\n", ("prices.csv", "line 2")),
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
    assert_one_sentence(ballast("run", "liability", "liability"), "names a flow twice")
    assert_one_sentence(ballast("run", "everything", "hedging"), "everything has all flows in it")


@pytest.mark.parametrize(
    ("named", "value", "missing"),
    [("postgres.dsn", "postgresql://localhost/x", "kafka.bootstrap"), ("kafka.bootstrap", "localhost:9", "postgres.dsn")],
)
def test_a_flow_is_not_started_half_on_embedded_parts(ballast: Ballast, named: str, value: str, missing: str) -> None:
    """With a database named and no broker, or the other way round, a slip is likelier than a wish."""
    said = ballast("run", "liability", settings={f"BALLAST_{named.upper().replace('.', '__')}": value})
    assert_one_sentence(said, f"{named} is named and {missing} is not", "--embedded")


@pytest.mark.broker
@pytest.mark.postgres
@pytest.mark.parametrize("command", ["demo --seconds 1 --json", "run --embedded"])
def test_a_second_one_over_the_same_folder(command: str, running: Running) -> None:
    """It stops with one sentence that names the first, and the first loses nothing by it."""
    recovery = sorted((running.folder / "recovery").rglob("*.sqlite3"))
    said = running.ballast(*command.split())
    assert_one_sentence(said, f"process {running.process.pid}", str(running.folder), "data.folder")
    assert recovery == sorted((running.folder / "recovery").rglob("*.sqlite3"))
    assert 0 == running.ballast("status").code


def test_settings_are_checked_without_starting_anything(ballast: Ballast, broker: str, tmp_path: Path) -> None:
    """What is not the default is shown, whoever set it; secrets are not. Each thing out of reach is a sentence, with code 78."""
    (tmp_path / "mine.toml").write_text("[pairing]\nleg_age_max_seconds = 7\n[hedging.limits]\ntransfer_sats_max = 9\n")
    settings = {
        "BALLAST_KAFKA__BOOTSTRAP": broker,
        "BALLAST_POSTGRES__DSN": f"postgresql://u:{CANARY}@{NOWHERE}/x",
        "BALLAST_KAFKA__SECRET_OPTIONS": json.dumps({"sasl.password": CANARY}),
        "BALLAST_VENUES__SIMULATED__URL": f"http://{NOWHERE}",
    }
    for more in ((), ("--json",)):
        said = ballast("check-config", "--config", "mine.toml", *more, settings=settings)
        assert 78 == said.code
        assert "postgres.dsn" in said.err
        assert CANARY not in said.out + said.err
    told = said.json()
    assert {"pairing.leg_age_max_seconds": 7, "hedging.limits.transfer_sats_max": 9} == {
        name: value for name, value in told["changed"].items() if name.split(".")[0] in ("pairing", "hedging")
    }
    assert (broker, f"http://{NOWHERE}") == (told["changed"]["kafka.bootstrap"], told["changed"]["venues.simulated.url"])
    assert {"postgres.dsn", "venues.simulated.url"} == told["troubles"].keys()
    assert 0 == ballast("check-config").code


@pytest.mark.parametrize(
    "written",
    ['[hedging.hedge]\nlow_bound_ratio_shorting = "2.0"\n', '[hedging.funding]\nhigh_bound_ratio_leverage = "1"\n'],
)
@pytest.mark.parametrize(
    "command", ["check-config", "status", "demo --seconds 1", "run", "audit", "replay recorded --out replayed"]
)
def test_bounds_that_contradict_each_other_are_one_sentence(
    command: str, written: str, ballast: Ballast, tmp_path: Path
) -> None:
    """Whatever is asked for, before anything is started."""
    (tmp_path / "ballast.toml").write_text(written)
    assert_one_sentence(ballast(*command.split()), "safe bounds must lie between the bounds")


@pytest.mark.broker
@pytest.mark.postgres
def test_one_thing_is_looked_up_with_all_that_led_to_it(running: Running) -> None:
    """From a typed leg to its trade and entries, and from an order to its decision, its states and what was booked of it."""
    legs = [line.model_dump_json() for line in pair(unused_name("look"), 2_000_000)]
    names = [json.loads(one)["id"] for one in legs]
    running.ballast("produce", "dealer.transactions", stdin="\n".join(legs).encode())

    def found() -> Any:
        said = running.ballast("leg", names[0], "--json")
        return said.code == 0 and said.json()["trades"] and said.json()

    until(found, "the trade of the leg")
    (booked,) = found()["trades"]
    assert names == [booked["btc_leg"], booked["usd_leg"]]
    trade = running.ballast("trade", booked["tx_id"], "--json").json()
    assert (names[0], 4, None) == (trade["meta"]["btc_leg"]["id"], len(trade["entries"]), trade["reversed_by"])

    def filled() -> list[tuple[str, str]]:
        with psycopg.connect(running.dsn) as connection:
            query = "SELECT client_id, decision_id FROM treasury.request WHERE kind = 'order' AND state = 'filled' LIMIT 1"
            return connection.execute(query).fetchall()

    until(filled, "an order that was filled")
    ((client_id, decision_id),) = filled()
    until(lambda: running.ballast("order", client_id, "--json").json()["booked"], "its fill in the books")
    order = running.ballast("order", client_id, "--json").json()
    assert (decision_id, "sell") == (order["decision"]["id"], order["decision"]["action"])
    assert ("reserved", "filled") == (order["changes"][0]["state"], order["changes"][-1]["state"])
    assert "DECREASE_EXCHANGE_POSITION" in {one["template"] for one in order["booked"]}
    assert order["decision"] == running.ballast("decision", decision_id, "--json").json()
    told = [("leg", names[0]), ("trade", booked["tx_id"]), ("order", client_id), ("decision", decision_id)]
    for command, name in (*told, *[("explain", name) for _, name in told]):
        assert name in running.ballast(command, name).out
        unknown = "018bcfe5-6800-8000-8000-000000000000"
        assert_one_sentence(running.ballast(command, unknown), unknown, code=1)


@pytest.mark.broker
@pytest.mark.postgres
def test_a_refused_leg_says_why(running: Running) -> None:
    """A leg that failed is looked up by its id, and its refusal asked for by SQL, once however often it was told."""
    leg = pair(unused_name("refused"))[0].model_copy(update={"status": "FAILURE"})
    running.ballast("produce", "dealer.transactions", stdin=leg.model_dump_json().encode())
    until(lambda: 0 == running.ballast("leg", leg.id).code, "the leg")
    until(lambda: bool(running.ballast("leg", leg.id, "--json").json()["refusals"]), "its refusal")
    (refusal,) = running.ballast("leg", leg.id, "--json").json()["refusals"]
    assert "failed" == refusal["reason"]
    with psycopg.connect(running.dsn) as connection:
        query = "SELECT reason, source FROM treasury.leg_refusal WHERE leg_id = %s"
        assert [("failed", refusal["source"])] == connection.execute(query, (leg.id,)).fetchall()


@pytest.mark.broker
@pytest.mark.postgres
def test_a_standby_holds_back_all_its_flows(running: Running, tmp_path: Path) -> None:
    """Also those that book nothing start only when the writer has gone, or there would be two desks and two gateways."""
    where = running.settings | {"BALLAST_KAFKA__BOOTSTRAP": running.bootstrap, "BALLAST_DATA__FOLDER": str(tmp_path)}
    log = tmp_path / "said.log"
    with log.open("wb") as said:
        flows = typed("run", "liability", "hedging", "execution", "--standby")
        standby = subprocess.Popen(flows, cwd=tmp_path, env=environment(where), stdout=said, stderr=said)
    until(lambda: "flows.stand_by" in log.read_text(), "the standby")
    assert 0 == ended(standby)
    assert "worker." not in log.read_text()


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
