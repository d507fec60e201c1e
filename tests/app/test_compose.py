"""The deployment in docker-compose.yml fits the program: its commands, its settings, its modules and its image.

The file is read line by line, in the plain style in which it is written: a YAML reader is not among the dependencies.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from typer.main import get_command

from app.cli import app
from app.settings import Settings
from app.worker import FLOWS
from connectors.embedded import POSTGRES_SETTINGS
from connectors.exchange.simulated import LOOPBACK, parse
from tests.app.surroundings import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
EXCHANGE = ["python", "-m", "connectors.exchange.simulated"]


def _blocks(section: str) -> dict[str, str]:
    """The blocks of a top-level section, by name."""
    body = re.split(r"(?m)^\S", COMPOSE.split(f"\n{section}:\n")[1])[0]
    return {block.split(":")[0]: block for block in re.split(r"(?m)^  (?=\w)", body) if block.strip()}


SERVICES = _blocks("services")


def _listed(block: str, name: str) -> list[str]:
    """A list that is written in one line."""
    found = re.search(rf"(?m)^    {name}: (\[.*\])$", block)
    return json.loads(found[1]) if found else []


def _variables() -> Iterator[tuple[str, str]]:
    yield from re.findall(r"(?m)^ +(BALLAST_\w+): \"(.*)\"$", COMPOSE)


def test_services() -> None:
    """A broker, a database, an exchange, and each flow as a worker of its own."""
    flows = set(FLOWS) - {"everything"}
    assert {"kafka", "postgres", "migrate", "exchange", *flows} == SERVICES.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_commands_are_those_of_the_program(name: str) -> None:
    """What a service runs, the command line takes; Postgres is told what the embedded one is told."""
    arguments = _listed(SERVICES[name], "command")
    if name == "kafka":
        assert [] == arguments
    elif name == "postgres":
        told = [option for setting in POSTGRES_SETTINGS.items() for option in ("-c", "=".join(setting))]
        assert ["postgres", *told] == arguments
    elif name == "exchange":
        assert EXCHANGE == _listed(SERVICES[name], "entrypoint")
        options = parse(arguments)
        assert LOOPBACK != options.host
        assert f"http://exchange:{options.port}" == dict(_variables())["BALLAST_VENUE__URL"]
    else:
        command = get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
        context = command.make_context(arguments[0], arguments[1:])
        assert [name] == (context.params.get("flows") or [name])


def test_variables_are_settings() -> None:
    """Every variable that is set names a setting that there is."""
    names = [name for name, _ in _variables()]
    assert len(names) > 3
    for name in names:
        section, _, key = name.removeprefix("BALLAST_").lower().partition("__")
        assert key in Settings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]


def test_nothing_is_published_beyond_loopback() -> None:
    """Ports of the host are bound to 127.0.0.1."""
    ports = [port for block in SERVICES.values() for port in _listed(block, "ports")]
    assert len(ports) == 3
    assert not [port for port in ports if not port.startswith("127.0.0.1:")]


def test_data_is_kept() -> None:
    """Whoever keeps something has a volume, and every volume is used."""
    used = [volume.split(":")[0] for block in SERVICES.values() for volume in _listed(block, "volumes")]
    declared = re.findall(r"(?m)^  (\w+):$", COMPOSE.split("\nvolumes:\n")[1])
    assert sorted(declared) == sorted(used) == sorted(SERVICES.keys() - {"migrate"})


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"migrate"}))
def test_health_is_checked(name: str) -> None:
    """Whatever lasts says whether it is well, by itself or as all workers do."""
    assert "healthcheck:" in SERVICES[name] or "<<: *worker" in SERVICES[name]


def test_the_password_comes_from_outside() -> None:
    """It stands nowhere but as a default of a variable."""
    assert "${BALLAST_POSTGRES_PASSWORD:-ballast}" in COMPOSE
    assert not re.findall(r"PASSWORD: \"(?!\$\{)", COMPOSE)


def test_the_image_holds_what_the_program_needs() -> None:
    """Every package of the wheel is copied, dependencies are pinned by hash, and it does not run as root."""
    copied = set(re.findall(r"(?m)^COPY (\w+) \1$", DOCKERFILE))
    assert {"domain", "operators", "sinks", "connectors", "flows", "app", "sql"} == copied
    assert DOCKERFILE.count("--require-hashes") == DOCKERFILE.count("--requirement ") == 2
    assert "\nUSER ballast\n" in DOCKERFILE


def test_docker_compose_reads_it() -> None:
    """Where the tool is installed, it has nothing to say against the file."""
    tool = shutil.which("docker-compose")
    if tool is not None:
        done = subprocess.run([tool, "config", "--quiet"], cwd=ROOT, capture_output=True, check=False)
        assert (0, b"") == (done.returncode, done.stderr)
