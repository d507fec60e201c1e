"""How a simulated part of the outside serves HTTP in a process of its own: on a port that it says, until SIGTERM or Ctrl-C."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from domain.errors import ConfigError

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


def server_of(application: Starlette) -> Server:
    """Return the HTTP server of an application, which ends on SIGTERM and SIGINT; the loop runs already."""
    server = Server(uvicorn.Config(application, log_level="warning", timeout_keep_alive=60, lifespan="off"))
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
