"""Starts worker processes, watches them, and starts them again when they fall, but not for ever.

All processes of a flow stand and fall together: Bytewax saves the state of the whole group, so one that falls takes the
others down, and the group starts again from what was saved. A group that falls too often in a short time is not started
again, and neither is one that says that starting it again cannot help.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from connectors.embedded import die_with_parent, ended, free_port, stop
from domain.errors import BallastError, ConfigError, FencedError, InvariantError

FALLS_MAX = 5
FALLS_WINDOW_SECONDS = 60.0
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
STOP_TIMEOUT_SECONDS = 15.0
HOPELESS = {error.exit_code: error for error in (ConfigError, FencedError, InvariantError)}

log = structlog.get_logger()


class CrashLoopError(BallastError):
    """A group of workers falls again and again; a person has to look."""


class Group:
    """The processes of one flow. `env` is added to the environment, `log_file` gets what they say, None lets them say it."""

    def __init__(self, flow: str, processes: int, env: Mapping[str, str], log_file: Path | None = None) -> None:
        self.flow = flow
        self.falls: list[float] = []
        self._count = processes
        # What our environment says was read already and is in `env`; a variable for one key would win over a section.
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")} | dict(env)
        self._log_file = log_file
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start_at: float | None = None

    def start(self) -> None:
        """Start all processes."""
        self._start_at = None
        addresses = ",".join(f"127.0.0.1:{free_port()}" for _ in range(self._count))
        cluster = [[str(i), addresses] for i in range(self._count)] if self._count > 1 else [[]]
        self._processes = [self._spawn(arguments) for arguments in cluster]

    def _spawn(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "app.worker", self.flow, *arguments]
        out = self._log_file.open("ab") if self._log_file else None
        try:
            return subprocess.Popen(  # noqa: S603 - our own command
                command,
                env=self._env,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        finally:
            if out is not None:
                out.close()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        return [process.pid for process in self._processes if process.poll() is None]

    def watch(self) -> None:
        """Start the group again if it fell; call it often. BallastError when it must not be started again."""
        fallen = [code for process in self._processes if (code := process.poll()) is not None]
        if fallen:
            self._fall(fallen[0])
        elif self._start_at is not None and time.monotonic() >= self._start_at:
            self.start()

    def _fall(self, code: int) -> None:
        codes = [stop(process) for process in self._processes]
        self._processes = []
        hopeless = next((found for found in [code, *codes] if found in HOPELESS), None)
        if hopeless is not None:
            msg = f"the flow {self.flow} stopped and was not started again, see what it said{self._where()}"
            raise HOPELESS[hopeless](msg)
        now = time.monotonic()
        self.falls = [*(fall for fall in self.falls if now - fall < FALLS_WINDOW_SECONDS), now]
        if len(self.falls) > FALLS_MAX:
            msg = f"the flow {self.flow} fell {len(self.falls)} times within {FALLS_WINDOW_SECONDS:.0f} s{self._where()}"
            raise CrashLoopError(msg)
        wait = BACKOFF_SECONDS[len(self.falls) - 1]
        self._start_at = now + wait
        log.warning("worker.fell", flow=self.flow, exit_code=code, restart_in_seconds=wait)

    def _where(self) -> str:
        return f" in {self._log_file}" if self._log_file else " above"

    def stop(self) -> list[int]:
        """Ask all processes to stop, wait, and return their exit codes."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        return [ended(process, STOP_TIMEOUT_SECONDS) for process in self._processes]
