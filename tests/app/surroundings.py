"""What tests of the outside stand on: the command line as a process, and a broker and a Postgres around it.

The broker and the Postgres are those that BALLAST_TEST_KAFKA and BALLAST_TEST_POSTGRES name, or else embedded ones. What is
named may have been used before: databases are created under names of their own, and ids of messages are made unlike others.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from connectors.clock import now_ms
from connectors.embedded.broker import embedded_broker
from connectors.embedded.postgres import embedded_postgres
from tests.canary import CANARY, assert_discreet, with_canary
from tests.waiting import PATIENCE_SECONDS, until

ROOT = Path(__file__).parents[2]
CONFIG_ERROR = 78
_numbers = count()


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Standard output, which has to be one JSON object."""
        lines = self.out.splitlines()
        assert 1 == len(lines), f"not one line: {self.out!r}, {self.err!r}"
        parsed: dict[str, Any] = json.loads(lines[0])
        return parsed


def assert_one_sentence(said: Said, *words: str, code: int = CONFIG_ERROR) -> None:
    """Non-zero exit, nothing on standard output, and one line on standard error with these words in it."""
    assert (code, "") == (said.code, said.out), said
    lines = said.err.splitlines()
    assert 1 == len(lines), said.err
    assert lines[0].startswith("ballast: ")
    assert not [word for word in words if word not in lines[0]], lines[0]


def unused_name(prefix: str) -> str:
    """A name that no other test, and no earlier run, has used."""
    return f"{prefix}_{os.getpid()}_{now_ms()}_{next(_numbers)}"


def venue_named(name: str, **venue: str) -> dict[str, str]:
    """The settings by which the one book is hedged at a venue of this name."""
    return {"BALLAST_VENUES": json.dumps({name: venue}), "BALLAST_BOOKS": json.dumps({"main": {"venue": name}})}


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: these settings and no others but a secret, and the code of this checkout."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")}
    secret = {"BALLAST_KAFKA__SECRET_OPTIONS": json.dumps({"sasl.password": CANARY})}
    return {**inherited, "PYTHONPATH": str(ROOT), **secret, **settings}


def command(*arguments: str) -> list[str]:
    """A `ballast` command with this Python."""
    return [sys.executable, "-c", "from app.cli.main import main; main()", *arguments]


def run_ballast(
    *arguments: str,
    cwd: Path,
    settings: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_seconds: float = PATIENCE_SECONDS,
) -> Said:
    """Run a command to its end."""
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(settings or {}),
        input=stdin,
        capture_output=True,
        timeout=timeout_seconds,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that other users may enter: as root, the embedded Postgres runs as a user of its own.

    No log that is in it at the end has a secret.
    """
    folder = Path(tempfile.mkdtemp(prefix="ballast-"))
    folder.chmod(0o755)
    try:
        yield folder
        assert_discreet(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_broker() -> Iterator[str]:
    """The address of a broker."""
    named = os.environ.get("BALLAST_TEST_KAFKA")
    with ExitStack() as stack:
        yield named or stack.enter_context(embedded_broker(stack.enter_context(open_folder()) / "broker.log"))


@contextmanager
def open_server() -> Iterator[str]:
    """The DSN of a superuser's maintenance database."""
    named = os.environ.get("BALLAST_TEST_POSTGRES")
    with ExitStack() as stack:
        yield named or with_canary(stack.enter_context(embedded_postgres(stack.enter_context(open_folder()) / "postgres")))


@contextmanager
def open_database(server: str, template: str = "template0") -> Iterator[str]:
    """The DSN of a new database, dropped at the end."""
    name = unused_name("ballast")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


class Running(NamedTuple):
    """A `ballast run` that lasts: where it keeps its data, the settings that lead other commands to it, its process."""

    folder: Path
    settings: dict[str, str]
    dsn: str
    bootstrap: str
    process: "subprocess.Popen[bytes]"

    def ballast(self, *arguments: str, stdin: bytes = b"") -> Said:
        """Run another command beside it."""
        return run_ballast(*arguments, cwd=self.folder, settings=self.settings, stdin=stdin)

    def said(self) -> str:
        """What it and its workers have logged."""
        return (self.folder / "said.log").read_text()


@contextmanager
def running_flows(
    flows: Sequence[str],
    settings: Mapping[str, str] | None = None,
    broker: str | None = os.environ.get("BALLAST_TEST_KAFKA"),
) -> Iterator[Running]:
    """Run flows over a ledger and a folder of their own, and stop them by SIGTERM, which has to end them with code 0.

    Without a broker they start an embedded one.
    """
    with open_folder() as folder, open_server() as server, open_database(server) as dsn:
        where = {"BALLAST_DATA__FOLDER": str(folder), **venue_named(unused_name("venue")), **(settings or {})}
        where["BALLAST_POSTGRES__DSN"] = dsn
        if broker is not None:
            where["BALLAST_KAFKA__BOOTSTRAP"] = broker
        process = _start(flows, folder, where)
        try:
            bootstrap = _ready(folder, len(flows), process)["bootstrap"]
            yield Running(folder, where, dsn, bootstrap, process)
        finally:
            code = ended(process)
        assert 0 == code, f"ended with {code}"


def _start(flows: Sequence[str], folder: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / "said.log").open("wb") as log:
        return subprocess.Popen(
            command("run", *flows, "--embedded"),
            cwd=folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def ended(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
    """Ask a process to end, and give its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _ready(folder: Path, workers: int, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    said = folder / "said.log"
    until(lambda: process.poll() is not None or said.read_text().count("worker.started") >= workers, "a start")
    assert process.poll() is None, said.read_text()
    facts: dict[str, Any] = json.loads((folder / "running.json").read_text())
    return facts
