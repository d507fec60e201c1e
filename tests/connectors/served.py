"""A simulated part of the outside in a process of its own, for tests that end it in the middle."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}


class Client(Protocol):
    """Whoever asks it."""

    def close(self) -> None:
        """Give its connections back."""


C = TypeVar("C", bound=Client)


def ended(module: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run a module that ends by itself, and return what it said."""
    return subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, env=ENV, capture_output=True, check=False)


class Served(Generic[C]):
    """One process with a client, which a subclass opens."""

    client: C

    def __init__(self, module: str, *options: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", module, *options], stdout=subprocess.PIPE, cwd=ROOT, env=ENV)
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self.client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code
