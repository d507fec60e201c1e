"""Where a running demo or worker group has its embedded parts, so that other commands find them.

The addresses are in `running.json` in the data folder for as long as the process that wrote it lives.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.places import Places, kafka_settings, named_dsn
from app.settings import Settings
from domain.errors import ConfigError

FILE = "running.json"


@contextmanager
def announced(settings: Settings, places: Places, venue_url: str | None) -> Iterator[None]:
    """Tell other commands where things are, until the block ends. ConfigError when another one runs over this folder."""
    other = _alive(settings.data.folder / FILE)
    if other is not None:
        msg = f"process {other['pid']} already runs over {settings.data.folder}; stop it, or set data.folder to another one"
        raise ConfigError(msg)
    path = settings.data.folder / FILE
    facts = {"pid": os.getpid(), "dsn": places.dsn, "bootstrap": places.kafka.bootstrap, "venue_url": venue_url}
    path.parent.mkdir(parents=True, exist_ok=True)
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


def venue_url(settings: Settings) -> str | None:
    """Where the simulated exchange answers, if one is named or runs."""
    return settings.venue.url or (_alive(settings.data.folder / FILE) or {}).get("venue_url")


def _alive(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        os.kill(facts["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return facts if facts["pid"] != os.getpid() else None
