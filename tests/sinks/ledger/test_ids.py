"""The memory of recent ids: never wrong about an id that it does not send to the database."""

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.books import Known
from sinks.ledger.ids import RecentIds

IDS = st.integers(0, 60).map("{:03d}".format)


@given(st.lists(st.lists(IDS, max_size=8), max_size=12), st.integers(2, 10), IDS)
def test_an_id_is_in_memory_or_doubtful_or_new(batches: list[list[str]], size_max: int, floor: str) -> None:
    """Whatever was remembered is either still in memory or sent to the database; the floor covers what came before."""
    recent, answered = RecentIds(floor, size_max), set[str]()
    for batch in batches:
        recent.remember({id_: Known("body") for id_ in batch})
        answered.update(batch)
        assert answered == set(recent.known_of(answered)) | set(recent.doubtful(answered))
        assert set(recent.doubtful(answered)).isdisjoint(recent.known_of(answered))
    assert recent.doubtful([floor]) == [floor]


@given(st.lists(IDS, unique=True, min_size=1))
def test_the_memory_stays_bounded(ids: list[str]) -> None:
    """However many ids come one after the other, no more than the most allowed are kept."""
    recent = RecentIds(size_max=5)
    for id_ in ids:
        recent.remember({id_: Known("body")})
        assert len(recent.known_of(ids)) <= 5
