"""A lane's order: partitions side by side in time, nothing handed on twice or left out, and a place is what was handed on."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.lane import WAITING_MAX, Horizon, Place
from domain.streams.records import RawBatch, RawMessage

NAMES = ("a", "b", "c")
TIMES = st.lists(st.integers(0, 30), max_size=8).map(sorted)
TAPES = st.fixed_dictionaries(dict.fromkeys(NAMES, TIMES))


def messages(times: Sequence[int]) -> list[RawMessage]:
    """Messages of a partition at these times."""
    return [RawMessage(offset, at_ms, None, b"") for offset, at_ms in enumerate(times)]


@st.composite
def readings(draw: st.DrawFn) -> tuple[dict[str, Place], dict[str, list[int]], list[RawBatch]]:
    """Places that were read to the end of their tapes, in any lumps, and what was handed on."""
    times = draw(TAPES)
    places = {name: Place(name, 0, 0) for name in NAMES}
    unread = {name: messages(tape) for name, tape in times.items()}
    horizon, handed_on = Horizon(), []
    while any(unread.values()):
        name = draw(st.sampled_from([name for name in NAMES if unread[name]]))
        count = draw(st.integers(1, 5))
        for message in unread[name][:count]:
            places[name].read(message)
        unread[name] = unread[name][count:]
        places[name].at_end = not unread[name] and draw(st.booleans())
        handed_on += horizon.advance(places.values(), draw(st.integers(0, 10)))
    return places, times, handed_on


@given(readings())
def test_partitions_go_side_by_side(read: tuple[dict[str, Place], dict[str, list[int]], list[RawBatch]]) -> None:
    """Each step hands on all partitions under one watermark, everything below it, and never goes back."""
    _, times, handed_on = read
    seen: dict[str, list[int]] = {name: [] for name in NAMES}
    steps = [handed_on[start : start + len(NAMES)] for start in range(0, len(handed_on), len(NAMES))]
    last_ms = -1
    for step in steps:
        (watermark_ms,) = {batch.watermark_ms for batch in step}
        assert watermark_ms > last_ms
        last_ms = watermark_ms
        for batch in step:
            seen[batch.topic] += [message.at_ms for message in batch.messages]
            assert all(at_ms < watermark_ms for at_ms in seen[batch.topic])
    assert all(times[name][: len(seen[name])] == seen[name] for name in NAMES)


@given(readings())
def test_a_place_is_what_was_handed_on(read: tuple[dict[str, Place], dict[str, list[int]], list[RawBatch]]) -> None:
    """What waits in a lane is read again after a restart: the place is behind the last message handed on."""
    places, _, handed_on = read
    for name, place in places.items():
        offsets = [message.offset for batch in handed_on if batch.topic == name for message in batch.messages]
        assert list(range(place.next_offset)) == offsets
        assert [message.offset for message in place.waiting][:1] in ([], [place.next_offset])


@given(readings())
def test_time_lets_everything_go(read: tuple[dict[str, Place], dict[str, list[int]], list[RawBatch]]) -> None:
    """Once all partitions are read to their ends, the clock hands on what is left."""
    places, times, _ = read
    for place in places.values():
        place.at_end = True
    Horizon().advance(places.values(), 31)
    assert {name: len(tape) for name, tape in times.items()} == {name: p.next_offset for name, p in places.items()}


@given(TIMES, st.integers(0, 5), st.integers(0, 40))
def test_the_next_offset_is_behind_what_is_no_message(times: list[int], holes: int, horizon_ms: int) -> None:
    """A partition that ends in holes is read to its end as soon as all its messages were handed on, and no earlier."""
    place = Place("a", 0, 0)
    for message in messages(times):
        place.read(message)
    place.reach_end(len(times) + holes)
    handed_on = place.hand_on(horizon_ms)
    assert (len(handed_on) if place.waiting else len(times) + holes) == place.next_offset


def test_an_end_that_is_told_too_early_takes_nothing_back() -> None:
    """A broker that reports the start of the last batch as the end does not move a place back."""
    place = Place("a", 0, 0)
    for message in messages([1, 2, 3]):
        place.read(message)
    place.reach_end(1)
    place.hand_on(10)
    assert 3 == place.next_offset


def test_who_holds_the_others_back_is_read() -> None:
    """However much waits in it, the partition that the horizon waits for is not held back; one that is ahead is."""
    place = Place("a", 0, 0)
    for message in messages([5] * (WAITING_MAX + 1)):
        place.read(message)
    assert [False, True] == [place.is_ahead_of(horizon_ms) for horizon_ms in (5, 4)]
    assert not Place("b", 0, 0).is_ahead_of(-1)


def test_an_empty_lane_says_nothing() -> None:
    """A lane without partitions, as when there are more lanes than partitions, has no time."""
    assert [] == Horizon().advance([], 100)
