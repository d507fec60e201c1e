"""Running machines: answers depend on the data alone, whatever the batches, the workers and the restarts."""

import pickle
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ConfigError
from domain.streams.records import FOREVER_MS, Progress, Record
from operators.streams.machines import Answers, Kind, MachineLogic, resumed

SOURCES = ("a", "b")


class Echo:
    """Answers every instant with its values, and wakes `period_ms` after the last thing that it did."""

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

    def gauges(self) -> dict[str, int]:
        return {"last_ms": self._last_ms or 0}

    def snapshot(self) -> tuple[Any, ...]:
        return self._last_ms, self.forgotten_ms


ECHO: Kind[Any, Any] = Kind(1, Echo)


def logic(resume: tuple[Any, ...] | None = None) -> MachineLogic[Any, Any]:
    """A shard, new or restored."""
    return resumed("echo", SOURCES, ECHO, resume)


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


def answers_of(shard: MachineLogic[Any, Any], activations: Iterable[list[Progress]]) -> list[tuple[int, int, Any]]:
    """Offset, instant and value of every answer."""
    found: list[tuple[int, int, Any]] = []
    for values in activations:
        said, discard = shard.on_batch(values)
        assert discard is False
        for _, first, answers, _ in said:
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
        for watermark_ms, _, answers, _ in shard.on_batch(values)[0]:
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
    assert [(5, 0, [])] == [said[:3] for said in shard.on_batch([Progress("a", 5, []), Progress("b", 9, [])])[0]]
    assert [] == [*shard.on_batch([Progress("b", 20, [])])[0]]


def test_no_time_passes_after_the_end() -> None:
    """When all sources have ended nothing is woken any more, and the end is passed on."""
    shard = logic()
    said, _ = shard.on_batch([Progress("a", FOREVER_MS, [Record(0, "a", 0, "x")]), Progress("b", FOREVER_MS, [])])
    assert [Answers(FOREVER_MS, 0, [(0, ("heard", 0, ("x",)))])] == [*said]


def test_a_snapshot_of_another_version_is_refused() -> None:
    """A start over state that this program does not know is one sentence, before anything of it is looked at."""

    def restore(snapshot: tuple[Any, ...] | None) -> Echo:
        assert snapshot is None, "a snapshot of another version was looked at"
        return Echo()

    version, *rest = logic().snapshot()
    with pytest.raises(ConfigError, match=r"step echo in version 2.*empty recovery folder"):
        resumed("echo", SOURCES, Kind(1, restore), (version + 1, *rest))


def test_a_machine_forgets_when_an_epoch_ends() -> None:
    """Forgetting happens with a snapshot, and up to the watermark."""

    def forget(machine: Any, watermark_ms: int) -> None:
        machine.forgotten_ms = watermark_ms

    shard = resumed("echo", SOURCES, Kind(1, Echo, forget), None)
    shard.on_batch([Progress("a", 5, []), Progress("b", 9, [])])
    assert (None, 5) == shard.snapshot()[3]


def test_a_shard_measures_itself_once_a_second_of_stream_time() -> None:
    """Gauges of the merge and of the machine come with the first answers of every second, late records among them."""
    shard = logic()
    measured: list[dict[str, int]] = []
    for number, at_ms in enumerate((1_000, 1_500, 2_100)):
        records = [Record(at_ms - 1, "a", 2 * number, "x"), Record(at_ms + 5, "a", 2 * number + 1, "y")]
        said = shard.on_batch([Progress("a", at_ms, records), Progress("b", at_ms, [])])[0]
        measured += [dict(answers.gauges) for answers in said]
    first, none, second = measured
    assert ({"watermark_ms": 1_000, "late": 0, "held": 1, "last_ms": 999}, {}) == (first, none)
    assert 2_100 == second["watermark_ms"]
    shard.on_batch([Progress("a", 2_100, [Record(7, "a", 9, "late")])])
    (said,) = shard.on_batch([Progress("a", 3_200, []), Progress("b", 3_200, [])])[0]
    assert 1 == said.gauges["late"]
