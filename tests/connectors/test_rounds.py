"""Rounds beside a flow: told in order, gone on with from a cursor, raised in the flow, and closed at the end."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.operators import input as op_input
from bytewax.operators import output as op_output
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, run_main

from connectors.rounds import Round, RoundsSource, RoundsThread
from domain.errors import ConfigError, InvariantError

Cursor = tuple[int]


class Counting:
    """Tells the numbers after its cursor, two in each round, until it breaks."""

    def __init__(self, cursor: Cursor | None, breaks_at: int = 10**9) -> None:
        self.at = cursor[0] if cursor else 0
        self.breaks_at = breaks_at
        self.waited: set[float] = set()
        self.closed_by: str | None = None

    def round(self) -> Round[int, Cursor]:
        if self.at >= self.breaks_at:
            msg = "the numbers have come to an end"
            raise InvariantError(msg)
        self.at += 2
        return Round([self.at - 1, self.at], (self.at,))

    def wait(self, seconds: float) -> None:
        self.waited.add(seconds)

    def close(self) -> None:
        self.closed_by = threading.current_thread().name


def flow_of(source: RoundsSource[int, Cursor], out: list[int]) -> Dataflow:
    """A flow that collects what is told."""
    flow = Dataflow("rounds")
    op_output("out", op_input("rounds", flow, source), TestingSink(out))
    return flow


def told_until(out: list[int], count: int) -> Callable[[], bool]:
    """Whether so much was told."""
    return lambda: len(out) >= count


def test_a_flow_takes_what_is_told() -> None:
    """Everything comes once and in order; at the end the thread that went round has given its connections back."""
    out: list[int] = []
    made: list[Counting] = []

    def build(cursor: Cursor | None) -> Counting:
        made.append(Counting(cursor))
        return made[-1]

    run_main(flow_of(RoundsSource({"numbers": build}, told_until(out, 10), poll_ms=1), out))
    assert [*range(1, len(out) + 1)] == out
    assert [("rounds of numbers", {0.001})] == [(counting.closed_by, counting.waited) for counting in made]


def test_each_name_has_its_rounds() -> None:
    """Two names are two partitions, each with a thread of its own; no name is no partition, and ends at once."""
    out: list[int] = []
    source = RoundsSource({"b": Counting, "a": lambda _: Counting((10**6,))}, lambda: {9, 10**6 + 9} <= {*out}, poll_ms=1)
    assert ["a", "b"] == source.list_parts()
    run_main(flow_of(source, out))
    for start in (0, 10**6):
        told = [number for number in out if start < number <= start + 10**5]
        assert [*range(start + 1, start + 1 + len(told))] == told
    run_main(flow_of(RoundsSource({}, lambda: False), []))


def test_a_restarted_flow_goes_on(tmp_path: Path) -> None:
    """From the cursor of what was handed on, which is saved as a plain tuple under its version."""
    out: list[int] = []
    init_db_dir(tmp_path, 1)
    for count in (10, 20, 30):
        source = RoundsSource({"numbers": Counting}, told_until(out, count), poll_ms=1)
        config = RecoveryConfig(str(tmp_path))
        run_main(flow_of(source, out), epoch_interval=timedelta(0), recovery_config=config)
        assert [*range(1, len(out) + 1)] == out


def test_a_snapshot_is_a_version_and_a_cursor() -> None:
    """Before anything was handed on there is none; one of another version is refused in a sentence."""
    source = RoundsSource({"numbers": lambda cursor: Counting(cursor, breaks_at=0)}, lambda: False, version=3)
    for resumed, expected in ((None, (3, None)), ((3, (8,)), (3, (8,)))):
        partition = source.build_part("step", "numbers", resumed)
        assert expected == partition.snapshot()
        partition.close()
    with pytest.raises(ConfigError, match="cursor of numbers in version 2, this program knows version 3"):
        source.build_part("step", "numbers", (2, (8,)))


def test_what_breaks_in_the_thread_is_raised_in_the_flow() -> None:
    """After what was told before, with its own words."""
    out: list[int] = []
    source = RoundsSource({"numbers": lambda cursor: Counting(cursor, breaks_at=6)}, lambda: False, poll_ms=1)
    with pytest.raises(BytewaxRuntimeError) as caught:
        run_main(flow_of(source, out))
    assert isinstance(caught.value.__cause__, InvariantError)
    assert [1, 2, 3, 4, 5, 6][: len(out)] == out


def test_a_thread_that_is_far_ahead_waits() -> None:
    """Rounds that nobody takes do not pile up without end, and closing ends the thread."""
    counting = Counting(None)
    thread = RoundsThread("numbers", counting, poll_ms=0)
    thread.start()
    while not thread._gone.full():
        thread.join(0.01)
    reached = counting.at
    thread.join(0.05)
    thread.close()
    assert (reached, False) == (counting.at, thread.is_alive())
