"""Running machines: answers depend on the data alone, whatever the batches, the workers and the restarts."""

import pickle
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ConfigError
from domain.merge import Merge
from domain.streams import FOREVER_MS, Progress, Record
from operators.machines import Answers, MachineLogic, resumed

SOURCES = ("a", "b")


class Echo:
    """Answers every instant with its values, and wakes `period_ms` after the last thing that it did."""

    version = 1
    period_ms = 7

    def __init__(self, snapshot: tuple[Any, ...] | None = None) -> None:
        self._last_ms, self.forgotten_ms = snapshot or (None, None)

    def apply(self, at_ms: int, records: Sequence[Record]) -> Iterable[Any]:
        self._last_ms = at_ms
        return [("heard", at_ms, tuple(record.value for record in records))]

    def wake_at_ms(self) -> int | None:
        return None if self._last_ms is None else self._last_ms + self.period_ms

    def wake(self, at_ms: int) -> Iterable[Any]:
        self._last_ms = at_ms
        return [("woken", at_ms)]

    def snapshot(self) -> tuple[Any, ...]:
        return self._last_ms, self.forgotten_ms


def logic(compact: Any = None, resume: tuple[Any, ...] | None = None) -> MachineLogic:
    """A shard, new or restored."""
    return resumed(SOURCES, Echo, compact, resume)


TIMES = st.lists(st.integers(0, 60), max_size=10).map(sorted)


def progress_of(source: str, times: Sequence[int], cuts: Sequence[int]) -> list[Progress]:
    """A source's records, cut where `cuts` say."""
    records = [Record(at_ms, source, offset, f"{source}{offset}") for offset, at_ms in enumerate(times)]
    edges = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
    parts = [records[start:end] for start, end in pairwise(edges)]
    return [Progress(source, part[-1].at_ms, part) for part in parts]


END = [Progress(source, 100, []) for source in SOURCES]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[list[Progress]], list[list[Progress]]]:
    """The same two sources, cut into activations in two ways."""
    times = {source: draw(TIMES) for source in SOURCES}

    def cut() -> list[list[Progress]]:
        parts = {s: progress_of(s, times[s], draw(st.lists(st.integers(0, 10), max_size=4))) for s in SOURCES}
        said: list[list[Progress]] = []
        while any(parts.values()):
            source = draw(st.sampled_from([s for s in SOURCES if parts[s]]))
            if draw(st.booleans()) and said:
                said[-1].append(parts[source].pop(0))
            else:
                said.append([parts[source].pop(0)])
        return [*said, END]

    return cut(), cut()


def answers_of(shard: MachineLogic, activations: Iterable[list[Progress]]) -> list[tuple[int, int, Any]]:
    """Offset, instant and value of every answer."""
    found: list[tuple[int, int, Any]] = []
    for values in activations:
        said, discard = shard.on_batch(values)
        assert discard is False
        for _, first, answers in said:
            found += [(first + n, at_ms, answer) for n, (at_ms, answer) in enumerate(answers)]
    return found


@given(streams())
def test_answers_do_not_depend_on_the_cuts(cuts: tuple[list[list[Progress]], list[list[Progress]]]) -> None:
    """Values, instants and offsets of all answers, wake-ups included, are those of the data."""
    one, other = cuts
    assert answers_of(logic(), one) == answers_of(logic(), other)


@given(streams(), st.integers(0, 20))
def test_a_restart_changes_nothing(cuts: tuple[list[list[Progress]], list[list[Progress]]], at: int) -> None:
    """A shard that is restored from its snapshot answers what it would have answered."""
    activations = cuts[0]
    shard = logic()
    before = answers_of(shard, activations[:at])
    restored = logic(resume=pickle.loads(pickle.dumps(shard.snapshot())))  # noqa: S301 - as the engine does
    assert answers_of(logic(), activations) == before + answers_of(restored, activations[at:])


@given(streams())
def test_time_in_answers_never_goes_back(cuts: tuple[list[list[Progress]], list[list[Progress]]]) -> None:
    """Answers come in the order of their instants, below the watermark that comes with them."""
    shard, last_ms = logic(), -1
    for values in cuts[0]:
        for watermark_ms, _, answers in shard.on_batch(values)[0]:
            for at_ms, _ in answers:
                assert last_ms <= at_ms <= watermark_ms
                last_ms = at_ms


def test_wakes_come_before_records_of_their_instant() -> None:
    """A machine that asked for an instant is woken in it before it is told of its records."""
    records = [Record(0, "a", 0, "x"), Record(7, "a", 1, "y")]
    said = answers_of(logic(), [[Progress("a", 8, records), Progress("b", 8, [])]])
    assert [("heard", 0, ("x",)), ("woken", 7), ("heard", 7, ("y",))] == [answer for _, _, answer in said]


def test_an_idle_shard_tells_the_time() -> None:
    """Without answers a shard still says how far it has come, once per step forward."""
    shard = logic()
    assert [Answers(5, 0, [])] == [*shard.on_batch([Progress("a", 5, []), Progress("b", 9, [])])[0]]
    assert [] == [*shard.on_batch([Progress("b", 20, [])])[0]]


def test_no_time_passes_after_the_end() -> None:
    """When all sources have ended nothing is woken any more, and the end is passed on."""
    shard = logic()
    said, _ = shard.on_batch([Progress("a", FOREVER_MS, [Record(0, "a", 0, "x")]), Progress("b", FOREVER_MS, [])])
    assert [Answers(FOREVER_MS, 0, [(0, ("heard", 0, ("x",)))])] == [*said]


def test_a_snapshot_of_another_version_is_refused() -> None:
    """A start over state that this program does not know is one sentence that says what to do."""
    version, *rest = logic().snapshot()
    with pytest.raises(ConfigError, match=r"version 2 of a Echo.*empty recovery folder"):
        logic(resume=(version + 1, *rest))


def test_a_machine_forgets_when_an_epoch_ends() -> None:
    """Forgetting happens with a snapshot, and up to the watermark."""

    def forget(machine: Any, watermark_ms: int) -> None:
        machine.forgotten_ms = watermark_ms

    shard = MachineLogic(Merge(SOURCES), Echo(), 0, forget)
    shard.on_batch([Progress("a", 5, []), Progress("b", 9, [])])
    assert (None, 5) == shard.snapshot()[3]
