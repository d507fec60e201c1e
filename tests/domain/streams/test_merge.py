"""The merge: one order out of many sources, whatever the cuts."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.streams.merge import Merge
from domain.streams.records import FOREVER_MS, Progress, Record

SOURCES = ("a/0", "a/1", "b/0")


def records(source: str, times: Sequence[int]) -> list[Record]:
    """Records of a source in the order of their times."""
    return [Record(at_ms, source, offset, f"{source}:{offset}") for offset, at_ms in enumerate(sorted(times))]


TIMES = st.fixed_dictionaries({source: st.lists(st.integers(0, 20), max_size=12) for source in SOURCES})


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[Progress], list[Record]]:
    """Progress of all sources, cut and interleaved in any way, and all their records."""
    tapes = {source: records(source, times) for source, times in draw(TIMES).items()}
    everything = [record for tape in tapes.values() for record in tape]
    said: list[Progress] = []
    while tapes:
        source = draw(st.sampled_from(sorted(tapes)))
        count = draw(st.integers(0, 4))
        read, tapes[source] = tapes[source][:count], tapes[source][count:]
        if not tapes[source]:
            del tapes[source]
            said.append(Progress(source, FOREVER_MS, read))
        else:
            said.append(Progress(source, read[-1].at_ms if read else -1, read))
    return said, everything


@given(schedules())
def test_order_depends_on_the_data_alone(schedule: tuple[list[Progress], list[Record]]) -> None:
    """Whatever the cuts, every record comes out once, in order of time, source and offset, and none is late."""
    said, everything = schedule
    merge, released = Merge(SOURCES), []
    for progress in said:
        merge.add(progress)
        released += merge.release()
    assert sorted(everything, key=lambda record: record[:3]) == released
    assert merge.late == 0


@given(schedules())
def test_an_instant_is_released_whole(schedule: tuple[list[Progress], list[Record]]) -> None:
    """All records of one millisecond come out of one release, as long as none is late."""
    said, _ = schedule
    merge, instants = Merge(SOURCES), []
    for progress in said:
        merge.add(progress)
        instants += sorted({record.at_ms for record in merge.release()})
    assert all(earlier < later for earlier, later in pairwise(instants))


@given(schedules(), st.integers(0, 40))
def test_a_restored_merge_goes_on_alike(schedule: tuple[list[Progress], list[Record]], cut: int) -> None:
    """A snapshot at any point, taken out of the merge's hands, gives the same further records."""
    said, _ = schedule
    merge = Merge(SOURCES)
    for progress in said[:cut]:
        merge.add(progress)
        merge.release()
    snapshot = merge.snapshot()
    before, restored = [], Merge(SOURCES, snapshot)
    for progress in said[cut:]:
        merge.add(progress)
        before += merge.release()
    after = []
    for progress in said[cut:]:
        restored.add(progress)
        after += restored.release()
    assert before == after


def test_the_slowest_source_holds_all_back() -> None:
    """Nothing is released at or above the smallest watermark."""
    merge = Merge(("a", "b"))
    merge.add(Progress("a", FOREVER_MS, [Record(1, "a", 0, "x"), Record(5, "a", 1, "y")]))
    assert [] == merge.release()
    merge.add(Progress("b", 5, []))
    assert ["x"] == [record.value for record in merge.release()]
    merge.add(Progress("b", 6, []))
    assert ["y"] == [record.value for record in merge.release()]


def test_a_late_record_is_moved_up_and_counted() -> None:
    """What comes after its instant was released takes part in the newest open one."""
    merge = Merge(("a",))
    merge.add(Progress("a", 10, []))
    merge.release()
    merge.add(Progress("a", 20, [Record(3, "a", 0, "late"), Record(12, "a", 1, "in time")]))
    assert [(10, "late"), (12, "in time")] == [(record.at_ms, record.value) for record in merge.release()]
    assert merge.late == 1


def test_a_watermark_never_goes_back() -> None:
    """A source that says less than before is not believed."""
    merge = Merge(("a",))
    merge.add(Progress("a", 10, []))
    merge.add(Progress("a", 4, []))
    merge.release()
    assert merge.watermark_ms == 10


def test_an_unknown_source_is_a_bug() -> None:
    """A source that nobody waits for would be released too early."""
    with pytest.raises(KeyError):
        Merge(("a",)).add(Progress("b", 1, []))


def test_a_source_that_is_gone_holds_nothing_back() -> None:
    """A snapshot's watermark of a source that is no longer named is dropped, a new one starts from nothing."""
    merge = Merge(("a", "gone"))
    merge.add(Progress("a", 10, [Record(3, "a", 0, "x")]))
    restored = Merge(("a", "new"), merge.snapshot())
    assert [] == restored.release()
    restored.add(Progress("new", 4, []))
    assert ["x"] == [record.value for record in restored.release()]
