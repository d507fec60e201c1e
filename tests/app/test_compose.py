"""The deployment in docker-compose.yml fits the program: its commands, its settings, its modules and its image.

The file is read line by line, in the plain style in which it is written: a YAML reader is not among the dependencies.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from app.cli.main import app
from app.settings import CONFIG_VARIABLE, NO_FILE, read_settings
from app.workers.worker import FLOWS
from connectors.embedded.postgres import POSTGRES_SETTINGS
from connectors.serving import LOOPBACK
from tests.app.surroundings import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


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
    yield from ((name, value) for name, _, value in re.findall(r"(?m)^ +(BALLAST_\w+): ([\"'])(.*)\2$", COMPOSE))


def test_services() -> None:
    """Broker, database, exchange, a provider of conversions, who takes in webhooks, and each flow as a worker of its own."""
    flows = set(FLOWS) - {"everything"}
    assert {"kafka", "postgres", "migrate", "exchange", "provider", "webhooks", *flows} == SERVICES.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_commands_are_those_of_the_program(name: str) -> None:
    """What a service runs, the command line takes; Postgres is told what the embedded one is told."""
    arguments = _listed(SERVICES[name], "command")
    if name == "kafka":
        assert [] == arguments
    elif name == "postgres":
        told = [option for setting in POSTGRES_SETTINGS.items() for option in ("-c", "=".join(setting))]
        assert ["postgres", *told] == arguments
    else:
        assert [name] == (_params(arguments).get("flows") or [name])


def _params(typed: list[str]) -> dict[str, Any]:
    """What the command line makes of what a service runs."""
    command, arguments = get_command(app), list(typed)
    while getattr(command, "commands", None):
        command = command.commands[arguments.pop(0)]  # type: ignore[attr-defined]
    params: dict[str, Any] = command.make_context(" ".join(typed), arguments).params
    return params


def test_the_exchange_is_where_workers_look_for_it() -> None:
    """It listens for other containers, at the port that the settings of the workers name."""
    options = _params(_listed(SERVICES["exchange"], "command"))
    assert LOOPBACK != options["host"]
    assert f"http://exchange:{options['port']}" == dict(_variables())["BALLAST_VENUES__SIMULATED__URL"]


def test_a_simulated_provider_finds_who_takes_in_its_webhooks() -> None:
    """It runs only where it is asked for, and posts under its own name, signed with what the other side has for it."""
    provider, webhooks = (_params(_listed(SERVICES[name], "command")) for name in ("provider", "webhooks"))
    assert ["simulated"] == _listed(SERVICES["provider"], "profiles")
    assert f"http://webhooks:{webhooks['port']}/webhooks/{provider['name']}" == provider["webhook_url"]
    assert LOOPBACK not in (provider["host"], webhooks["host"])
    assert "environment: *settings" in SERVICES["provider"]
    assert "<<: *settings" in SERVICES["webhooks"]
    assert ["simulated"] == json.loads(dict(_variables())["BALLAST_PROVIDERS__SIMULATED__WEBHOOK_SECRETS"])


@pytest.mark.parametrize("name", ["exchange", "provider", "webhooks"])
def test_health_is_asked_where_it_is_told(name: str) -> None:
    """A service that answers HTTP is asked at the port that it listens on, under the path that it has for that."""
    path = {"webhooks": "healthz"}.get(name, "health")
    port = _params(_listed(SERVICES[name], "command"))["port"]
    assert f"http://127.0.0.1:{port}/{path}'" in _listed(SERVICES[name], "  test")[3]


def test_variables_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable that is set is read as a setting; one that is none would be refused."""
    variables = {CONFIG_VARIABLE: NO_FILE, **dict(_variables())}
    assert len(variables) > 4
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert ("kafka:9092", "http://exchange:8090") == (settings.kafka.bootstrap, settings.venues["simulated"].url)


def test_nothing_is_published_beyond_loopback() -> None:
    """Ports of the host are bound to 127.0.0.1."""
    ports = [port for block in SERVICES.values() for port in _listed(block, "ports")]
    assert len(ports) == 4
    assert not [port for port in ports if not port.startswith("127.0.0.1:")]


def test_data_is_kept() -> None:
    """Whoever keeps something has a volume, and every volume is used."""
    used = [volume.split(":")[0] for block in SERVICES.values() for volume in _listed(block, "volumes")]
    declared = re.findall(r"(?m)^  (\w+):$", COMPOSE.split("\nvolumes:\n")[1])
    assert sorted(declared) == sorted(used) == sorted(SERVICES.keys() - {"migrate", "webhooks"})


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"migrate"}))
def test_health_is_checked(name: str) -> None:
    """Whatever lasts says whether it is well; a worker by its own flow, as the command line takes it."""
    assert "healthcheck:" in SERVICES[name]
    if name in FLOWS:
        cmd, program, *arguments = _listed(SERVICES[name], "  test")
        assert ("CMD", "ballast") == (cmd, program)
        params = _params(arguments)
        assert (True, name) == (params["health"], params["flow"])


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


def test_our_own_services_have_no_more_rights_than_they_need() -> None:
    """A root that cannot be written to, no capabilities, none to be gained; metrics are heard of beside the container."""
    worker = COMPOSE.split("x-worker: &worker")[1].split("\nx-")[0]
    for block in (worker, *(SERVICES[name] for name in ("migrate", "exchange", "provider", "webhooks"))):
        for line in ("read_only: true", 'cap_drop: ["ALL"]', 'security_opt: ["no-new-privileges:true"]'):
            assert line in block
    assert all("<<: *worker" in SERVICES[flow] for flow in set(FLOWS) - {"everything"})
    assert 'BALLAST_RUN__METRICS_HOST: "0.0.0.0"' in worker


def test_the_build_is_sent_what_it_copies_and_no_more() -> None:
    """Nothing that the Dockerfile copies is left out, and no environment, data or history goes into it."""
    left_out = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {part for line in re.findall(r"(?m)^COPY (?!--)(.+)$", DOCKERFILE) for part in line.split()[:-1]}
    assert copied
    assert not {part.split("/")[0] for part in copied} & set(left_out)
    assert {".venv", ".git", "ballast-data", "ballast.toml"} <= set(left_out)
