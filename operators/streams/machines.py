"""Runs a pure state machine as a stateful Bytewax step.

The step's keys are a fixed set of shards. Each shard merges its sources by stream time, hands its machine one instant at a
time, and fires the machine's wake-ups in between, so the answers are the same for every batch size, worker count and
crash. What it emits is itself a feed: downstream the shard `pair-03` of the step `pair` is the source `pair/pair-03`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar
from zlib import crc32

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream, StatefulBatchLogic

from domain.errors import ConfigError
from domain.streams.gauges import Gauge
from domain.streams.merge import Merge
from domain.streams.records import FOREVER_MS, Machine, Progress, Record, Snapshot, new
from operators.streams.feeds import Feed
from operators.streams.packing import Packing

In = TypeVar("In")
Out = TypeVar("Out")

GAUGES_EVERY_MS = 1000


class Answers(NamedTuple, Generic[Out]):
    """What a shard says at once: answers with their instants, numbered from `first_offset`, how far it has come, and what
    it measures of itself."""

    watermark_ms: int
    first_offset: int
    answers: Sequence[tuple[int, Out]]
    gauges: Mapping[str, int] = {}


class Kind(NamedTuple, Generic[In, Out]):
    """A kind of machine: `version` names the shape of its snapshots, `restore` makes one from its snapshot, or a new one.

    `forget` lets it forget what it no longer needs; it is called with the watermark when an epoch has ended. `packing`, where
    many records may wait, packs those of a snapshot. `expect` hears of a run of records before their instants are applied, to
    look up at once what they need.
    """

    version: int
    restore: Callable[[Snapshot | None], Machine[In, Out]]
    forget: Callable[[Any, int], None] | None = None
    packing: Packing[In] | None = None
    expect: Callable[[Any, Sequence[Record[In]]], None] | None = None


class Pulse:
    """Says when gauges are due: once a second of stream time."""

    def __init__(self) -> None:
        self._due_ms = 0

    def beats(self, watermark_ms: int) -> bool:
        """Whether they are due now."""
        if not self._due_ms <= watermark_ms < FOREVER_MS:
            return False
        self._due_ms = watermark_ms + GAUGES_EVERY_MS
        return True


class MachineLogic(StatefulBatchLogic[Progress[In], Answers[Out], Snapshot]):
    """One shard: a merge, a machine, and the number of its next answer."""

    def __init__(self, kind: Kind[In, Out], merge: Merge[In], machine: Machine[In, Out], next_offset: int = 0) -> None:
        self._kind = kind
        self._merge = merge
        self._machine = machine
        self._next_offset = next_offset
        self._pulse = Pulse()
        self._settled_ms = -1
        # Of records that wait to be released: up to when, and how far everything was settled when they were handed on.
        self._held = [(FOREVER_MS, -1)] if merge.gauges()["held"] else []

    def on_batch(self, values: list[Progress[In]]) -> tuple[Iterable[Answers[Out]], bool]:
        """Take what the sources hand on, and answer the instants that are complete now."""
        before_ms = self._merge.watermark_ms
        for progress in values:
            self._merge.add(progress)
            if progress.records:
                self._held.append((progress.records[-1].at_ms, self._settled_ms))
        released = self._merge.release()
        if released and self._kind.expect is not None:
            self._kind.expect(self._machine, released)
        answers = list(self._answers(released))
        watermark_ms = self._merge.watermark_ms
        if not answers and watermark_ms == before_ms:
            return (), False
        said = Answers(watermark_ms, self._next_offset, answers, self._gauges(watermark_ms))
        self._next_offset += len(answers)
        return [said], False

    def _answers(self, released: list[Record[In]]) -> Iterator[tuple[int, Out]]:
        for at_ms, instant in groupby(released, key=_at):
            yield from self._woken(at_ms)
            for answer in self._machine.apply(at_ms, list(instant)):
                yield at_ms, answer
        # When all sources have ended no time passes any more.
        if self._merge.watermark_ms < FOREVER_MS:
            yield from self._woken(self._merge.watermark_ms)

    def _woken(self, upto_ms: int) -> Iterator[tuple[int, Out]]:
        while (due_ms := self._machine.wake_at_ms()) is not None and due_ms <= upto_ms:
            for answer in self._machine.wake(due_ms):
                yield due_ms, answer

    def _gauges(self, watermark_ms: int) -> Mapping[str, int]:
        return {**self._merge.gauges(), **self._machine.gauges()} if self._pulse.beats(watermark_ms) else {}

    def snapshot(self) -> Snapshot:
        """Called when an epoch ends, with everything of it booked downstream: the one moment when forgetting is safe.

        A record that is still held was enriched before it came here. What was settled since then it may not know of, so the
        machine has to.
        """
        watermark_ms = self._merge.watermark_ms
        self._held = [one for one in self._held if one[0] >= watermark_ms] if self._merge.gauges()["held"] else []
        if self._kind.forget is not None:
            self._kind.forget(self._machine, min([watermark_ms, *(settled_ms for _, settled_ms in self._held)]))
        self._settled_ms = watermark_ms
        merge, packing = self._merge.snapshot(), self._kind.packing
        packed = merge if packing is None else packing.pack_merge(merge)
        return self._kind.version, self._next_offset, packed, self._machine.snapshot()


def machine(name: str, feed: Feed[In], shards: Sequence[str], key: Callable[[In], str], kind: Kind[In, Out]) -> Feed[Out]:
    """Run a machine per shard over a feed; records are spread by a hash of their key, and every shard hears every watermark."""

    def build(resume: Snapshot | None) -> MachineLogic[In, Out]:
        return resumed(name, feed.sources, kind, resume)

    said = op.stateful_batch(name, spread(name, feed.stream, shards, key), build)
    return Feed(named(name, said, name), tuple(f"{name}/{shard}" for shard in shards))


def resumed(name: str, sources: Sequence[str], kind: Kind[In, Out], resume: Snapshot | None) -> MachineLogic[In, Out]:
    """Return a shard's logic, new or from its snapshot; a snapshot of another version is refused with ConfigError."""
    if resume is None:
        return MachineLogic(kind, Merge(sources), kind.restore(None))
    next_offset, packed, snapshot = of_version(name, kind.version, resume)
    merge = packed if kind.packing is None else kind.packing.unpack_merge(packed)
    return MachineLogic(kind, Merge(sources, merge), kind.restore(snapshot), next_offset)


def of_version(name: str, version: int, resume: Snapshot) -> Snapshot:
    """Return a snapshot without the version in front of it; ConfigError if that is another one.

    It is compared before anything of the snapshot is looked at: only the version says what is in it.
    """
    found, *state = resume
    if found != version:
        msg = (
            f"the recovery store holds state of the step {name} in version {found}, this program knows version {version}; "
            "start over an empty recovery folder (the ledger keeps its books) or run the program that wrote it"
        )
        raise ConfigError(msg)
    return tuple(state)


def spread(
    name: str, up: Stream[Progress[In]], shards: Sequence[str], key: Callable[[In], str]
) -> KeyedStream[Progress[In]]:
    """Spread records over shards; one that hears of no records still hears how far the source has come."""
    if len(shards) == 1:
        return op.map(f"{name}_to_shard", up, lambda progress: (shards[0], progress))
    count = len(shards)

    def split(progress: Progress[In]) -> Iterable[tuple[str, Progress[In]]]:
        parts: list[list[Record[In]]] = [[] for _ in shards]
        for record in progress.records:
            parts[crc32(key(record.value).encode()) % count].append(record)
        return [(shard, progress._replace(records=part)) for shard, part in zip(shards, parts, strict=True)]

    return op.flat_map(f"{name}_to_shards", up, split)


def named(step_id: str, up: KeyedStream[Answers[Out]], name: str) -> Stream[Progress[Out]]:
    """Give answers the coordinates of the step, by its name, and of the shard that they come from."""

    def progress(item: tuple[str, Answers[Out]]) -> Progress[Out]:
        shard, (watermark_ms, first, answers, measured) = item
        source = f"{name}/{shard}"
        records = [new(Record, (at_ms, source, n, answer)) for n, (at_ms, answer) in enumerate(answers, first)]
        gauges = [Gauge(name, shard, gauge, value) for gauge, value in measured.items()]
        return Progress(source, watermark_ms, records, gauges)

    return op.map(f"{step_id}_said", up, progress)


def _at(record: Record[Any]) -> int:
    return record.at_ms
