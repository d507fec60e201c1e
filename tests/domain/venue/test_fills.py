"""Fills and orders: what is explained depends on what was said, and not on what was said first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.venue import Fill
from domain.streams.records import Record
from domain.venue.fills import MEMORY_MS, UNEXPLAINED_MS, Effect, FillBook, FillExplained, FillHeard, FillOfNobody
from tests.words import fill, order_report, record

Said = tuple[int, Any]
LATE_MS = UNEXPLAINED_MS + 1


def words(effects: list[tuple[int, Effect]]) -> list[tuple[int, str, str]]:
    """When which fill was explained, or is of nobody."""
    found = []
    for at_ms, effect in effects:
        if isinstance(effect, FillExplained):
            found.append((at_ms, "ours", effect.heard.fill.id))
        elif isinstance(effect, FillOfNobody):
            found.append((at_ms, "nobody's", effect.fill.id))
    return found


def played(said: list[Said], until_ms: int = 0, restored: bool = False) -> list[tuple[int, Effect]]:
    """What a book says with its times when it hears these, and then nothing; also when it is saved after every instant."""
    book, effects = FillBook(), list[tuple[int, Effect]]()
    instants = sorted({at_ms for at_ms, _ in said})
    for at_ms in [*instants, *([until_ms] if until_ms else [])]:
        while (due_ms := book.wake_at_ms()) is not None and due_ms <= at_ms:
            effects += [(due_ms, effect) for effect in book.wake(due_ms)]
        records: list[Record[Any]] = [record(word, at_ms, n) for n, (when_ms, word) in enumerate(said) if when_ms == at_ms]
        effects += [(at_ms, effect) for effect in book.apply(at_ms, records)]
        book = FillBook(book.snapshot()) if restored else book
    return effects


ORDER, FILL = order_report("o", "sent"), fill(-3)
TABLE: list[tuple[str, list[Said], list[tuple[int, str, str]]]] = [
    ("an order, then its fill", [(0, ORDER), (5, FILL)], [(5, "ours", "f1")]),
    ("a fill, then its order", [(0, FILL), (5, ORDER)], [(5, "ours", "f1")]),
    ("both at once", [(5, FILL), (5, ORDER)], [(5, "ours", "f1")]),
    ("an order that was only reserved", [(0, order_report("o", "reserved")), (5, FILL)], [(5, "ours", "f1")]),
    ("an order that never left", [(0, order_report("o", "refused")), (5, FILL)], [(10_005, "nobody's", "f1")]),
    ("an order of another venue", [(0, ORDER.model_copy(update={"venue": "x"})), (5, FILL)], [(10_005, "nobody's", "f1")]),
    ("another order", [(0, order_report("other", "sent")), (5, FILL)], [(10_005, "nobody's", "f1")]),
    ("an order that comes at the last moment", [(0, FILL), (9_999, ORDER)], [(9_999, "ours", "f1")]),
    ("an order that comes too late", [(0, FILL), (LATE_MS, ORDER)], [(10_000, "nobody's", "f1"), (LATE_MS, "ours", "f1")]),
    ("several fills of one order", [(0, FILL), (1, fill(-2, 2)), (2, ORDER)], [(2, "ours", "f1"), (2, "ours", "f2")]),
    ("the same fill again", [(0, ORDER), (1, FILL), (2, FILL)], [(1, "ours", "f1")]),
    ("a fill of nobody again", [(0, FILL), (LATE_MS, FILL)], [(10_000, "nobody's", "f1")]),
    ("another word on a fill that is explained", [(0, ORDER), (1, FILL), (2, fill(9))], [(1, "ours", "f1")]),
    (
        "another word on a fill that waits",
        [(0, FILL), (1, fill(-3, order="p")), (2, order_report("p", "sent"))],
        [(10_000, "nobody's", "f1")],
    ),
    ("an order that is remembered", [(0, ORDER), (MEMORY_MS, FILL)], [(MEMORY_MS, "ours", "f1")]),
    (
        "an order whose last word is remembered",
        [(0, ORDER), (9, ORDER), (MEMORY_MS + 9, FILL)],
        [(MEMORY_MS + 9, "ours", "f1")],
    ),
    ("an order of long ago", [(0, ORDER), (MEMORY_MS + 1, FILL)], [(MEMORY_MS + LATE_MS, "nobody's", "f1")]),
    ("a fill of long ago", [(0, FILL), (MEMORY_MS * 9, ORDER)], [(10_000, "nobody's", "f1"), (MEMORY_MS * 9, "ours", "f1")]),
]


@pytest.mark.parametrize("restored", [False, True], ids=["in one go", "restored every time"])
@pytest.mark.parametrize(("said", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_explained_and_what_is_not(said: list[Said], expected: list[tuple[int, str, str]], restored: bool) -> None:
    """A fill is ours once a word on its order is known, and nobody's after ten seconds without one."""
    assert expected == words(played(said, MEMORY_MS * 10, restored))


def test_every_word_on_a_fill_is_booked() -> None:
    """Also the second one: whether it is the same, the ledger says."""
    heard = [effect.fill for _, effect in played([(0, FILL), (1, FILL), (2, fill(9))]) if isinstance(effect, FillHeard)]
    assert [FILL, FILL, fill(9)] == heard


FILLS = st.builds(fill, st.sampled_from([-2, 5]), st.integers(1, 4), order=st.sampled_from("opq"))
SPOKEN = st.lists(
    st.tuples(st.integers(0, 30_000), FILLS | st.builds(order_report, st.sampled_from("opq"), st.just("sent")))
)


@given(SPOKEN)
def test_a_fill_is_explained_by_whether_and_not_by_when(said: list[Said]) -> None:
    """Explained is, once, the first word on each fill whose order is ever spoken of."""
    first: dict[str, Fill] = {}
    for _, word in sorted(said, key=lambda one: one[0]):
        if isinstance(word, Fill):
            first.setdefault(word.id, word)
    known = {word.client_order_id for _, word in said if not isinstance(word, Fill)}
    explained = [effect.heard.fill for _, effect in played(said, 50_000) if isinstance(effect, FillExplained)]
    assert sorted(one.id for one in explained) == sorted(one.id for one in first.values() if one.client_order_id in known)
    assert all(first[one.id] == one for one in explained)


@given(SPOKEN)
def test_a_book_goes_on_from_its_snapshot(said: list[Said]) -> None:
    """Saved and restored after every instant, it says the same."""
    assert played(said, 50_000) == played(said, 50_000, restored=True)


@given(SPOKEN)
def test_what_is_known_does_not_grow_with_history(said: list[Said]) -> None:
    """An hour later nothing is left but the fills that nothing explains, and those are counted."""
    book = FillBook()
    for at_ms in sorted({at_ms for at_ms, _ in said}):
        list(book.apply(at_ms, [record(word, at_ms) for when_ms, word in said if when_ms == at_ms]))
    list(book.wake(60_000))
    list(book.apply(60_000 + MEMORY_MS, []))
    orders, explained, waiting, untold = book.snapshot()
    assert ((), (), ()) == (orders, explained, untold)
    assert {"fills_unexplained": len(waiting)} == book.gauges()
