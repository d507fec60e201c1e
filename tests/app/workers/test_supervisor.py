"""The supervisor: what falls is started again with growing pauses, unless that cannot help, and nothing outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from app.workers.ends import AWAY, FALL_PAUSES_SECONDS, FALLS_MAX, FALLS_WINDOW_SECONDS, CrashLoopError
from app.workers.supervisor import SAY_SECONDS, Group
from domain.errors import BallastError, ConfigError, FencedError, InvariantError
from tests.app.surroundings import ROOT, environment
from tests.waiting import until

STUB = """
import os, signal, sys, time
name = sys.argv[2] if len(sys.argv) > 2 else "0"
with open("starts", "a") as file:
    file.write(f"{name}\\n")
print(sorted(key for key in os.environ if key.startswith("BALLAST_")), flush=True)
try:
    sys.exit(int(open(f"code-{name}").read()))
except FileNotFoundError:
    pass
if sys.argv[1] == "polite":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
elif sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(f"ready-{name}", "w").close()
time.sleep(3600)
"""
"""Stands where the worker is: ends with the code in the file `code-N` if there is one, and waits for SIGTERM otherwise, with or
without listening for it."""


class Bench:
    """A folder in which `python -m app.workers.worker` is the stub, and a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1000.0

    def exit_with(self, code: int, name: int = 0) -> None:
        """From the next start on, process `name` ends at once with this code."""
        (self.folder / f"code-{name}").write_text(str(code))

    def starts(self) -> list[str]:
        """Which processes have been started, in order."""
        path = self.folder / "starts"
        return path.read_text().split() if path.exists() else []

    def fell(self, group: Group) -> None:
        """Wait until one has ended, and let the group see it."""
        until(lambda: any(process.poll() is not None for process in group._processes), "a fall")
        group.watch()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The stub and the clock in place."""
    (tmp_path / "app" / "workers").mkdir(parents=True)
    for room in ("app", "app/workers"):
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "app" / "workers" / "worker.py").write_text(STUB)
    bench = Bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.workers.supervisor.time", SimpleNamespace(monotonic=lambda: bench.now))
    return bench


@pytest.fixture
def group(bench: Bench) -> Iterator[Group]:
    """One process of a flow; stopped at the end."""
    group = Group("polite", 1, {"BALLAST_RUN": "{}"}, bench.folder / "log")
    yield group
    group.stop()


def test_a_fallen_worker_is_started_again_with_growing_pauses(bench: Bench, group: Group) -> None:
    """Each fall within the window makes the pause longer; before it is over nothing starts."""
    bench.exit_with(1)
    group.start()
    for number, pause in enumerate(FALL_PAUSES_SECONDS, 1):
        bench.fell(group)
        bench.now += pause - 0.01
        group.watch()
        assert [] == group._processes
        bench.now += 0.02
        group.watch()
        until(lambda expected=number + 1: len(bench.starts()) == expected, "the next start")  # type: ignore[misc]
    assert sorted(FALL_PAUSES_SECONDS) == list(FALL_PAUSES_SECONDS)


def test_a_crash_loop_ends(bench: Bench, group: Group) -> None:
    """One fall too many within the window, and a person has to look."""
    bench.exit_with(1)
    group.start()
    for _ in range(FALLS_MAX):
        bench.fell(group)
        bench.now += max(FALL_PAUSES_SECONDS)
        group.watch()
    with pytest.raises(CrashLoopError, match=f"the flow polite fell {FALLS_MAX + 1} times within 60 s in .*log"):
        bench.fell(group)


def test_an_outage_is_said_once_a_minute(bench: Bench, group: Group) -> None:
    """What is away and since when is one line a minute, however often a start is tried, and it ends nothing."""
    (code,) = [code for code, what in AWAY.items() if what == "Postgres"]
    bench.exit_with(code)
    group.start()
    began, said_at = bench.now, []
    for _ in range(10):
        with capture_logs() as logs:
            bench.fell(group)
        said_at += [bench.now - began for line in logs if (line["event"], line["away"]) == ("worker.waits", "Postgres")]
        bench.now += SAY_SECONDS / 2
        group.watch()
    assert [0.0, 60.0, 120.0, 180.0, 240.0] == said_at


def test_old_falls_are_forgotten(bench: Bench, group: Group) -> None:
    """Falls that are far apart never add up."""
    bench.exit_with(1)
    group.start()
    for _ in range(FALLS_MAX + 2):
        bench.fell(group)
        bench.now += FALLS_WINDOW_SECONDS + 1
        group.watch()
    assert 1 >= len(group.ends)


@pytest.mark.parametrize("error", [ConfigError, FencedError, InvariantError])
def test_what_cannot_be_helped_is_not_started_again(error: type[BallastError], bench: Bench, group: Group) -> None:
    """An exit code that says that a person has to act is passed on as it is."""
    bench.exit_with(error.exit_code)
    group.start()
    with pytest.raises(error, match="was not started again"):
        bench.fell(group)
    group.watch()
    assert ["0"] == bench.starts()


def test_processes_of_a_flow_fall_together(bench: Bench) -> None:
    """The state of a flow is saved for the whole group, so one that falls takes the others along."""
    bench.exit_with(1, 0)
    group = Group("polite", 2, {}, bench.folder / "log")
    group.start()
    second = group._processes[1]
    until((bench.folder / "ready-1").exists, "the second process")
    bench.fell(group)
    assert 0 == second.poll()
    for left in ("code-0", "ready-1"):
        (bench.folder / left).unlink()
    bench.now += FALL_PAUSES_SECONDS[0]
    group.watch()
    for name in ("0", "1"):
        until((bench.folder / f"ready-{name}").exists, f"process {name}")
    assert ["0", "0", "1", "1"] == sorted(bench.starts())
    assert 2 == len(group.pids)
    assert [0, 0] == group.stop()


def test_a_worker_that_does_not_listen_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping never hangs."""
    monkeypatch.setattr("app.workers.supervisor.STOP_TIMEOUT_SECONDS", 0.1)
    group = Group("deaf", 1, {}, bench.folder / "log")
    group.start()
    until((bench.folder / "ready-0").exists, "the process")
    assert [-signal.SIGKILL] == group.stop()


def test_one_that_is_stopped_before_it_listens_has_ended_well(bench: Bench) -> None:
    """It had begun nothing that it could have left undone."""
    group = Group("early", 1, {}, bench.folder / "log")
    group.start()
    until((bench.folder / "ready-0").exists, "a start")
    assert [0] == group.stop()


def test_workers_get_the_settings_that_were_read(bench: Bench, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of our own environment do not reach workers by themselves: they would win over what was read."""
    monkeypatch.setenv("BALLAST_RUN__EPOCH_MS", "7")
    fresh = Group("polite", 1, {"BALLAST_RUN": "{}"}, bench.folder / "log")
    fresh.start()
    until((bench.folder / "ready-0").exists, "the process")
    fresh.stop()
    assert "['BALLAST_RUN']\n" == (bench.folder / "log").read_text()


def test_workers_die_with_the_supervisor(bench: Bench) -> None:
    """However the supervisor dies, no worker is left behind that would go on writing."""
    program = (
        "import sys; sys.path.append(sys.argv[1]); sys.path.remove('')\n"
        "from app.workers.supervisor import Group\n"
        "group = Group('polite', 1, {}); group.start(); print(group.pids[0], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment({}),
        cwd=bench.folder,
    ) as supervisor:
        assert supervisor.stdout is not None
        worker = int(supervisor.stdout.readline())
        until((bench.folder / "ready-0").exists, "the worker")
        supervisor.kill()
    until(lambda: not _runs(worker), "the worker's end")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except OSError:
        return False
