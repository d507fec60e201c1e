"""Processes that Ballast starts: each on a free port of loopback, each ended with the one who started it."""

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STOP_TIMEOUT_SECONDS = 120.0
"""A process that listens needs moments to end, or on a busy machine many; one that does not listen is killed after that."""

_PR_SET_PDEATHSIG = 1


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
