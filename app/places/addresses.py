"""Where a running demo or worker group has its embedded parts, so that other commands find them.

The addresses are in `running.json` in the data folder for as long as the process that wrote it lives.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.places.places import Places, check_broker, kafka_settings, named_dsn
from app.settings import Settings
from connectors.embedded.postgres import embedded_postgres
from connectors.kafka.source import KafkaSettings
from domain.errors import ConfigError

FILE = "running.json"
LOCK = "running.lock"


@contextmanager
def claimed(settings: Settings) -> Iterator[None]:
    """Have the data folder for oneself until the block, or the process, ends; nothing in it may be touched before.

    ConfigError when another process has it.
    """
    folder = settings.data.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        msg = f"the data folder {folder} cannot be written to: {error.strerror}; set data.folder to another one"
        raise ConfigError(msg) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = f"process {other['pid']}" if (other := _alive(folder / FILE)) else "another process"
            msg = f"{who} already runs over {folder}; stop it, or set data.folder to another one"
            raise ConfigError(msg) from error
        yield


@contextmanager
def announced(settings: Settings, places: Places, venue_urls: Mapping[str, str]) -> Iterator[None]:
    """Tell other commands where things are, until the block ends."""
    path = settings.data.folder / FILE
    facts = {"pid": os.getpid(), "dsn": places.dsn, "bootstrap": places.kafka.bootstrap, "venue_urls": dict(venue_urls)}
    path.touch(mode=0o600)
    path.write_text(json.dumps(facts) + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_places(settings: Settings) -> Places:
    """The places that settings name, else those of what runs over the data folder; ConfigError when there are none."""
    running = _alive(settings.data.folder / FILE) or {}
    dsn = named_dsn(settings) or running.get("dsn")
    bootstrap = settings.kafka.bootstrap or running.get("bootstrap")
    if dsn is None or bootstrap is None:
        msg = (
            f"nothing runs over {settings.data.folder}, and settings name no broker and database; "
            "start one with: ballast demo (or set kafka.bootstrap and postgres.dsn)"
        )
        raise ConfigError(msg)
    return Places(dsn, kafka_settings(settings, bootstrap), broker_is_new=False)


@contextmanager
def open_books(settings: Settings, *, is_live: bool) -> Iterator[tuple[str, KafkaSettings | None]]:
    """Yield the ledger and the broker that settings name or that run, else the ledger that was left in the data folder.

    An embedded broker keeps nothing, so beside a ledger that was left there is none, and neither is one beside a named ledger
    if none is named. With `is_live` nothing is started. ConfigError when there is no ledger.
    """
    running = _alive(settings.data.folder / FILE) or {}
    dsn = named_dsn(settings) or running.get("dsn")
    bootstrap = settings.kafka.bootstrap or running.get("bootstrap")
    kafka = None if bootstrap is None else kafka_settings(settings, bootstrap)
    if dsn is not None:
        if kafka is not None:
            check_broker(kafka)
        yield dsn, kafka
        return
    left = settings.data.folder / "postgres"
    if is_live or not (left / "PG_VERSION").exists():
        msg = (
            f"nothing runs over {settings.data.folder}, and settings name no database; "
            "start one with: ballast demo (or set postgres.dsn), or name the folder of a snapshot"
        )
        raise ConfigError(msg)
    with claimed(settings), embedded_postgres(left) as left_dsn:
        yield left_dsn, kafka


def find_broker(settings: Settings) -> KafkaSettings:
    """The broker that settings name, else that of what runs over the data folder; ConfigError when none answers."""
    bootstrap = settings.kafka.bootstrap or (_alive(settings.data.folder / FILE) or {}).get("bootstrap")
    if bootstrap is None:
        msg = f"nothing runs over {settings.data.folder}, and kafka.bootstrap is not set; set it, or start: ballast demo"
        raise ConfigError(msg)
    kafka = kafka_settings(settings, bootstrap)
    check_broker(kafka)
    return kafka


def venue_urls(settings: Settings) -> dict[str, str]:
    """Where the exchange of each venue answers, as far as one is named or runs."""
    running = (_alive(settings.data.folder / FILE) or {}).get("venue_urls", {})
    found = {name: venue.url or running.get(name) for name, venue in settings.venues.items()}
    return {name: url for name, url in found.items() if url is not None}


def _alive(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        os.kill(facts["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return facts if facts["pid"] != os.getpid() else None
