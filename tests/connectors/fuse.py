"""A process that ends at any of its calls to the outside, for tests of gateways."""

from collections.abc import Callable
from typing import Any

from domain.outbox.lifecycle import ExecutionPolicy

POLICY = ExecutionPolicy(decision_age_max_ms=5_000, deadline_ms=1_000, visible_within_ms=500, ask_interval_ms=100)


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Ends the process at one of the next calls to the outside, before it is made or after."""

    def __init__(self) -> None:
        self.left: int | None = None

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call with the fuse before and after it."""

        def fused(*arguments: object) -> object:
            self._burn()
            answer = call(*arguments)
            self._burn()
            return answer

        return fused

    def _burn(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash
