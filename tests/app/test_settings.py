"""Settings: the environment wins over the file, secrets are not shown, and the example shows everything."""

import json
import logging
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from app.generated import settings_example
from app.logs import without_secrets
from app.places.places import Places, kafka_settings, named_dsn
from app.settings import Provider, Settings, read_settings
from app.workers.session import worker_env
from connectors.kafka.source import KafkaSettings
from domain.errors import ConfigError
from domain.reconciling.items import Scope
from domain.treasury.policy import Rules, TreasuryPolicy
from tests.canary import CANARY

FILE = f"""
[kafka]
bootstrap = "file:9092"
options = {{"client.id" = "file"}}
secret_options = {{"sasl.password" = "{CANARY}"}}
[postgres]
dsn = "postgresql://u:{CANARY}@host/db"
[pairing]
memory_seconds = 4
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file but those of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BALLAST_CONFIG", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file with secrets in it."""
    path = tmp_path / "some.toml"
    path.write_text(FILE)
    return path


def _shown(settings: Settings) -> dict[str, Any]:
    return settings.model_dump()


def test_defaults_need_no_file() -> None:
    """Without a file and variables the defaults hold, and they name nothing outside."""
    settings = read_settings()
    assert _shown(Settings()) == _shown(settings)
    assert (None, None) == (settings.kafka.bootstrap, settings.postgres.dsn)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_file_is_read(file: Path, mark: str) -> None:
    """What the file says holds, and defaults fill the rest; a mark of the byte order in front is left out."""
    file.write_text(mark + FILE, encoding="utf-8")
    settings = read_settings(file)
    assert ("file:9092", 4, 1) == (settings.kafka.bootstrap, settings.pairing.memory_seconds, settings.kafka.lanes)


@pytest.mark.parametrize("way", ["argument", "variable", "default name"])
def test_ways_to_name_the_file(way: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, the variable, and the default name lead to the same settings."""
    if way == "variable":
        monkeypatch.setenv("BALLAST_CONFIG", str(file))
    if way == "default name":
        file.rename("ballast.toml")
    assert 4 == read_settings(file if way == "argument" else None).pairing.memory_seconds


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key by key: what the environment does not say is as in the file."""
    monkeypatch.setenv("BALLAST_KAFKA__BOOTSTRAP", "environment:9092")
    monkeypatch.setenv("BALLAST_KAFKA__LANES", "3")
    settings = read_settings(file)
    assert ("environment:9092", 3, 4) == (settings.kafka.bootstrap, settings.kafka.lanes, settings.pairing.memory_seconds)
    assert {"client.id": "file"} == settings.kafka.options


@pytest.mark.parametrize("name", ["BALLAST_POSTGRES_DSN", "BALLAST_KAFAK__BOOTSTRAP"])
def test_a_variable_with_a_slip_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would set nothing, and nobody would know; what others read of that name is left alone."""
    monkeypatch.setenv("BALLAST_POSTGRES_PASSWORD", "p")
    monkeypatch.setenv("BALLAST_TEST_KAFKA", "k")
    read_settings()
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError, match=f"the variable {name} is no setting"):
        read_settings()


def test_secrets_are_not_shown(file: Path) -> None:
    """Neither printing, nor dumping, nor an error shows a secret; the clients get it."""
    settings = read_settings(file)
    for text in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.kafka),
        f"{settings.postgres}",
    ):
        assert CANARY not in text
    assert CANARY in (named_dsn(settings) or "")
    assert CANARY == kafka_settings(settings, "b").options["sasl.password"]


@pytest.mark.parametrize("wrong", ['dsn = ["{}"]', 'dsn = "{}"\nuser = "{}"', 'password = "{}"'])
def test_errors_show_no_secret(wrong: str, tmp_path: Path) -> None:
    """A setting that is wrong is named, and its value is not repeated."""
    path = tmp_path / "wrong.toml"
    path.write_text(f"[postgres]\n{wrong.replace('{}', CANARY)}\n")
    with pytest.raises(ConfigError, match="postgres") as error:
        read_settings(path)
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("name", ["dsn", "password", "sasl.password", "client_secret", "SASL_JAAS"])
def test_logs_hide_what_sounds_like_a_secret(name: str) -> None:
    """By name, whatever the value."""
    event = {"event": "connected", "rows": 7, name: CANARY}
    assert {"event": "connected", "rows": 7, name: "***"} == without_secrets(logging.getLogger(), "info", event)


def test_the_example_parses_when_uncommented(tmp_path: Path) -> None:
    """Every line that sets something can be used as it stands, and then says what holds anyway."""
    uncommented = re.sub(r"(?m)^# (\w+ = .+)$", r"\1", settings_example())
    path = tmp_path / "uncommented.toml"
    path.write_text(uncommented)
    assert _shown(Settings()) == _shown(read_settings(path))


def test_the_example_changes_nothing(tmp_path: Path) -> None:
    """As it is, all of it is commented out."""
    path = tmp_path / "example.toml"
    path.write_text(settings_example())
    assert _shown(Settings()) == _shown(read_settings(path))


def test_the_example_shows_every_setting_with_its_default() -> None:
    """Table by table; a setting that has no default stands there without a value."""
    for name, table in _tables(Settings().model_dump(mode="json")):
        lines = settings_example().split(f"[{name}]\n")[1].split("\n[")[0].splitlines()
        for key, value in table.items():
            line = next(line for line in lines if line.startswith(f"# {key} ="))
            written = line.partition("=")[2].strip()
            assert (value, bool(value is not None)) == (_read(written), bool(written)), line


def test_the_example_shows_what_is_said_of_a_provider() -> None:
    """With the marks taken away and a name put in it is a section, with every setting that there is."""
    block = settings_example().split("# [providers.NAME]\n")[1].split("\n\n")[0]
    written = re.findall(r"(?m)^#   (\w+ = .+)$", block)
    read = Settings.model_validate(tomllib.loads("\n".join(["[providers.due]", *written])))
    assert list(Provider.model_fields) == [line.split(" = ")[0] for line in written]
    assert {"due"} == read.providers.keys()


@pytest.mark.parametrize("section", [TreasuryPolicy, Rules, Provider])
def test_every_setting_of_the_treasury_says_what_it_means(section: type[BaseModel]) -> None:
    """One that is no section of its own stands in the example under a line in words."""
    lines = [line.lstrip("# ") for line in settings_example().splitlines()]
    for name, field in section.model_fields.items():
        if not isinstance(field.default, BaseModel):
            assert field.description
            assert any(line.startswith(f"{name} =") for line in lines[lines.index(field.description) :][1:2]), name


def _tables(sections: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in sections.items():
        inner = {key: value for key, value in section.items() if isinstance(value, dict) and value}
        plain = {key: value for key, value in section.items() if key not in inner}
        if plain:
            yield f"{above}{name}", plain
        yield from _tables(inner, f"{above}{name}.")


WRONG = {
    "a venue that is not there": ({"books": {"main": {"venue": "elsewhere"}}}, "book main is hedged at elsewhere"),
    "two books at one venue": ({"books": {"a": {}, "b": {}}}, "simulated hedges two books"),
    "a band out of order": ({"hedging": {"hedge": {"low_bound_ratio_shorting": "1.2"}}}, "bounds must lie between"),
    "a ratio that is a float": ({"hedging": {"hedge": {"low_bound_ratio_shorting": 0.95}}}, "decimal in quotes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_policies_and_books_that_make_no_sense_are_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What contradicts itself is refused when it is read, with what is wrong."""
    sections, words = WRONG[name]
    for section, value in sections.items():
        monkeypatch.setenv(f"BALLAST_{section.upper()}", json.dumps(value))
    with pytest.raises(ConfigError, match=words):
        read_settings()


def _read(toml: str) -> Any:
    return tomllib.loads(f"value = {toml}")["value"] if toml else None


def test_workers_read_what_was_read_here(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that workers get leads to the same settings, secrets included, whatever file lies around."""
    settings = read_settings(file)
    env = worker_env(
        settings, Places("postgresql://elsewhere/db", KafkaSettings("there:1"), False), {"simulated": "http://127.0.0.1:9"}
    )
    Path("ballast.toml").write_text('[kafka]\noptions = {"client.id" = "stray"}\n[pairing]\nmemory_seconds = 99\n')
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    read = read_settings()
    assert ("there:1", "http://127.0.0.1:9") == (read.kafka.bootstrap, read.venues["simulated"].url)
    assert "postgresql://elsewhere/db" == named_dsn(read)
    assert {"client.id": "file", "sasl.password": CANARY} == kafka_settings(read, "b").options
    changed = {"kafka": read.kafka.model_copy(update={"bootstrap": "file:9092"}), "venues": settings.venues}
    assert _shown(settings) == _shown(read.model_copy(update={**changed, "postgres": settings.postgres}))


def test_secrets_travel_in_variables_of_their_own(file: Path) -> None:
    """The sections that workers get hold no secret, so one that is printed gives none away."""
    env = worker_env(
        read_settings(file), Places("postgresql://h/db", KafkaSettings("there:1"), False), {"simulated": "http://h"}
    )
    assert ["BALLAST_KAFKA__SECRET_OPTIONS"] == [name for name, value in env.items() if CANARY in value]
    assert {"sasl.password": CANARY} == json.loads(env["BALLAST_KAFKA__SECRET_OPTIONS"])


RULES = """
[reconciling.rules]
tolerance = 1
[reconciling.by."bank:"]
tolerance = 2
[reconciling.by."bank:first"]
tolerance = 3
tolerance_ratio = "0.001"
[reconciling.by.CASH]
tolerance = 4
[reconciling.by.CASH.bounds]
USD = [1, 2, 3]
"""


@pytest.mark.parametrize(
    ("source", "account", "tolerance"),
    [("venue:a", "X", 1), ("bank:other", "X", 2), ("bank:first", "X", 3), ("bank:first", "CASH", 4)],
)
def test_rules_of_an_account_win_over_those_of_its_source(source: str, account: str, tolerance: int, tmp_path: Path) -> None:
    """Of sources the longest beginning of the name wins, and without any the rules of all hold."""
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    rules = read_settings(path).reconciling.rules_of(Scope(source, account, "USD"))
    assert tolerance == rules.tolerance
    assert ("high" if account == "CASH" else "low") == rules.severity(3, "USD")


@pytest.mark.parametrize(
    "written", ["tolerance_ratio = 0.01", "tolerance = -1", "bounds = { USD = [3, 2, 1] }", 'tolerance_ratio = "1"']
)
def test_rules_that_make_no_sense_are_one_sentence(written: str, tmp_path: Path) -> None:
    """A ratio is text, so that no float comes near money; bounds grow."""
    path = tmp_path / "rules.toml"
    path.write_text(f"[reconciling.rules]\n{written}\n")
    with pytest.raises(ConfigError, match=r"the setting reconciling\.rules"):
        read_settings(path)
