"""How a process serves HTTP: on a port that it says, until SIGTERM or Ctrl-C, and then what it has begun to answer."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from domain.errors import BallastError, ConfigError

LOOPBACK = "127.0.0.1"

Say = Callable[[int], None]
"""Tells whoever has started it that it is ready, and on which port."""


class Server(uvicorn.Server):
    """uvicorn ends by raising the signal again that ended it; here a SIGTERM is a normal end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a port, 0 for a free one. ConfigError when it cannot be had."""
    # The protocol is named because asyncio turns off Nagle's algorithm (40 ms an answer) only where it is.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            why = f"the port {port} of {host} cannot be used: {error.strerror}"
            msg = f"{why}; choose another one by --port, or stop whoever has it"
            raise ConfigError(msg) from error
        yield listener


def server_of(application: Starlette, at_once_max: int | None = None, drain_seconds: int | None = None) -> Server:
    """Return the HTTP server of an application, which ends on SIGTERM and SIGINT; the loop runs already.

    It answers at most so many requests at the same time, and at its end takes so long for those that it has begun to answer.
    """
    server = Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=60,
            limit_concurrency=at_once_max,
            timeout_graceful_shutdown=drain_seconds,
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    return server


async def serve(server: Server, listener: socket.socket, say: Say) -> None:
    """Serve until the server is told to end, and say when it answers."""
    announcing = asyncio.create_task(_announce(server, listener, say))
    await server.serve(sockets=[listener])
    announcing.cancel()


async def _announce(server: Server, listener: socket.socket, say: Say) -> None:
    while not server.started:
        await asyncio.sleep(0.002)
    say(listener.getsockname()[1])


def said_of(run: Callable[[Say], None]) -> int:
    """Run a process that somebody else has started, who reads its port as a line of JSON; return its exit code.

    What an operator has to do when it is not possible is one sentence on standard error.
    """
    try:
        run(lambda port: print(json.dumps({"port": port}), flush=True))  # noqa: T201 - whoever started us reads it
    except (BallastError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code if isinstance(error, BallastError) else 1
    return 0
