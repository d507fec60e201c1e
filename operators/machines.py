"""Runs a pure state machine as a stateful Bytewax step.

The step's keys are a fixed set of shards. Each shard merges its sources by stream time, hands its machine one instant at a
time, and fires the machine's wake-ups in between, so the answers are the same for every batch size, worker count and
crash. What it emits is itself a source for the next step, with a watermark of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from domain.errors import ConfigError
from domain.merge import Merge
from domain.streams import FOREVER_MS, Machine, Progress, Record

Restore = Callable[[tuple[Any, ...] | None], Machine]
"""Builds a machine from its snapshot, or a new one from None."""

Compact = Callable[[Machine, int], None]
"""Lets a machine forget what it no longer needs; called with the watermark in epoch milliseconds."""


class Answers(NamedTuple):
    """What a shard says at once: answers with their instants, numbered from `first_offset`, and how far it has come."""

    watermark_ms: int
    first_offset: int
    answers: list[tuple[int, Any]]


class MachineLogic(StatefulBatchLogic[Progress, Answers, tuple[Any, ...]]):
    """One shard: a merge, a machine, and the number of its next answer."""

    def __init__(self, merge: Merge, machine: Machine, next_offset: int = 0, compact: Compact | None = None) -> None:
        self._merge = merge
        self._machine = machine
        self._next_offset = next_offset
        self._compact = compact

    def on_batch(self, values: list[Progress]) -> tuple[Iterable[Answers], bool]:
        """Take what the sources hand on, and answer the instants that are complete now."""
        before_ms = self._merge.watermark_ms
        for progress in values:
            self._merge.add(progress)
        answers = list(self._answers(self._merge.release()))
        if not answers and self._merge.watermark_ms == before_ms:
            return (), False
        said = Answers(self._merge.watermark_ms, self._next_offset, answers)
        self._next_offset += len(answers)
        return [said], False

    def _answers(self, released: list[Record]) -> Iterator[tuple[int, Any]]:
        for at_ms, instant in groupby(released, key=_at):
            yield from self._woken(at_ms)
            for answer in self._machine.apply(at_ms, list(instant)):
                yield at_ms, answer
        # When all sources have ended no time passes any more.
        if self._merge.watermark_ms < FOREVER_MS:
            yield from self._woken(self._merge.watermark_ms)

    def _woken(self, upto_ms: int) -> Iterator[tuple[int, Any]]:
        while (due_ms := self._machine.wake_at_ms()) is not None and due_ms <= upto_ms:
            for answer in self._machine.wake(due_ms):
                yield due_ms, answer

    def snapshot(self) -> tuple[Any, ...]:
        """Called when an epoch ends, with everything of it booked downstream: the one moment when forgetting is safe."""
        if self._compact is not None:
            self._compact(self._machine, self._merge.watermark_ms)
        return self._machine.version, self._next_offset, self._merge.snapshot(), self._machine.snapshot()


@operator
def run_machine(
    step_id: str,
    up: KeyedStream[Progress],
    name: str,
    sources: list[str],
    restore: Restore,
    compact: Compact | None = None,
) -> KeyedStream[Progress]:
    """Run a machine per shard over `sources`, the complete list of what can arrive here.

    Downstream the shard `pair-03` of the machine named `pair` is the source `pair/pair-03`.
    """
    said = op.stateful_batch("shard", up, lambda resume: resumed(sources, restore, compact, resume))
    return as_progress("progress", said, name)


@operator
def as_progress(step_id: str, up: KeyedStream[Answers], name: str) -> KeyedStream[Progress]:
    """Give answers the coordinates of the machine and shard that they come from."""

    def named(item: tuple[str, Answers]) -> tuple[str, Progress]:
        shard, (watermark_ms, first, answers) = item
        source = f"{name}/{shard}"
        records = [Record(at_ms, source, first + n, answer) for n, (at_ms, answer) in enumerate(answers)]
        return shard, Progress(source, watermark_ms, records)

    return op.map("named", up, named)


def resumed(
    sources: Sequence[str], restore: Restore, compact: Compact | None, resume: tuple[Any, ...] | None
) -> MachineLogic:
    """A shard's logic, new or from its snapshot; a snapshot of another version is refused with ConfigError."""
    if resume is None:
        return MachineLogic(Merge(sources), restore(None), 0, compact)
    version, next_offset, merge, snapshot = resume
    machine = restore(snapshot)
    if version != machine.version:
        msg = (
            f"the recovery store holds state in version {version} of a {type(machine).__name__}, this program knows "
            f"version {machine.version}; start over an empty recovery folder (the ledger keeps its books) "
            "or run the program that wrote it"
        )
        raise ConfigError(msg)
    return MachineLogic(Merge(sources, merge), machine, next_offset, compact)


def _at(record: Record) -> int:
    return record.at_ms
