"""Starts worker processes, watches them, and starts them again when they fall, as `ends.py` says.

All processes of a flow stand and fall together: Bytewax saves the state of the whole group, so one that falls takes the
others down, and the group starts again from what was saved.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from app.workers.ends import End, GiveUp, Restart, next_step, telling, worth_keeping
from connectors.clock import now_ms
from connectors.embedded.processes import die_with_parent, ended, free_port, stop
from domain.times import datetime_of

SAY_SECONDS = 60.0
"""How often it is said that something is waited for."""

STOP_TIMEOUT_SECONDS = 120.0
FALLEN_STOP_SECONDS = 5.0
"""The others of a group that fell are killed when they do not end by then; nothing is lost by it."""

log = structlog.get_logger()


class Group:
    """The processes of one flow. `env` is added to the environment, `log_file` gets what they say, None lets them say it."""

    def __init__(self, flow: str, processes: int, env: Mapping[str, str], log_file: Path | None = None) -> None:
        self.flow = flow
        self.ends: Sequence[End] = []
        self._say_at = 0.0
        self._count = processes
        # What our environment says was read already and is in `env`; a variable for one key would win over a section.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")}
        self._env = inherited | {"RUST_BACKTRACE": "0"} | dict(env)  # the engine's own stack tells nobody here anything
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
        command = [sys.executable, "-m", "app.workers.worker", self.flow, *arguments]
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
            self._fall(fallen)
        elif self._start_at is not None and time.monotonic() >= self._start_at:
            self.start()

    def _fall(self, fallen: Sequence[int]) -> None:
        code = telling([*fallen, *(stop(process, FALLEN_STOP_SECONDS) for process in self._processes)])
        self._processes = []
        self.ends = worth_keeping([*self.ends, End(time.monotonic(), code)])
        step = next_step(self.ends)
        if isinstance(step, GiveUp):
            msg = f"the flow {self.flow} {step.why}{self._where()}"
            raise step.error(msg)
        self._start_at = self.ends[-1].at_seconds + step.pause_seconds
        self._say(code, step)

    def _say(self, code: int, step: Restart) -> None:
        """Tell of every fall, and of an outage once a minute."""
        if not step.away:
            log.warning("worker.fell", flow=self.flow, exit_code=code, restart_in_seconds=step.pause_seconds)
        elif self.ends[-1].at_seconds >= self._say_at or self.ends[-1].at_seconds == step.since_seconds:
            self._say_at = self.ends[-1].at_seconds + SAY_SECONDS
            since = datetime_of(now_ms() - round((self.ends[-1].at_seconds - step.since_seconds) * 1000))
            log.warning("worker.waits", flow=self.flow, away=step.away, since=since.isoformat(timespec="seconds"))

    def _where(self) -> str:
        return f" in {self._log_file}" if self._log_file else " above"

    def stop(self) -> list[int]:
        """Ask all processes to stop, wait, and return their exit codes."""
        asked = [process for process in self._processes if process.poll() is None]
        for process in asked:
            process.terminate()
        codes = [(process, ended(process, STOP_TIMEOUT_SECONDS)) for process in self._processes]
        # One that ends by the signal itself was asked before it could listen, and had begun nothing.
        return [0 if process in asked and code == -signal.SIGTERM else code for process, code in codes]
