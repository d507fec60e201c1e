"""Batches of a run: everything in order, as few as the bound allows, and every group whole."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.journal import Group, Transaction
from sinks.ledger.batches import cut


def transaction(number: int, group: Group | None) -> Transaction:
    """A transaction without entries."""
    return Transaction(str(number), "T", 0, (), "", "", number, {}, group=group)


@st.composite
def runs(draw: st.DrawFn) -> list[Transaction]:
    """Transactions, some of them in groups."""
    sizes = draw(st.lists(st.integers(0, 4), max_size=12))
    groups = [Group(str(number), size) if size else None for number, size in enumerate(sizes) for _ in range(size or 1)]
    return [transaction(number, group) for number, group in enumerate(groups)]


@given(runs(), st.integers(1, 9))
def test_a_run_is_cut_into_whole_batches(run: list[Transaction], at_most: int) -> None:
    """Put together they are the run; none could take one more; and no two of them share a group."""
    batches = [*cut(run, at_most)]
    assert run == [one for batch in batches for one in batch]
    for batch in batches[:-1]:
        assert len(batch) >= at_most
    for batch in batches:
        *_, last = [[*of] for _, of in groupby(batch, key=lambda one: one.group or one.id)]
        assert len(batch) - len(last) < at_most
    groups = [{one.group for one in batch} - {None} for batch in batches]
    assert sum(map(len, groups)) == len(set().union(*groups))
