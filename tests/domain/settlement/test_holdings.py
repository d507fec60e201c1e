"""What a customer has: never negative, and nothing of it lost."""

from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.batching import Batcher
from domain.settlement.holdings import (
    Holding,
    Mismatch,
    locked,
    may_take_out,
    mismatches,
    paid_in,
    residual,
    spent,
    taken_by_force,
)

AMOUNTS = st.integers(0, 100)
DEEDS = st.lists(st.tuples(st.sampled_from(["in", "force", "lock", "unlock", "spend"]), AMOUNTS), max_size=30)


@given(DEEDS)
def test_no_part_is_ever_negative_and_all_of_them_add_up(deeds: list[tuple[str, int]]) -> None:
    """What came in, less what was taken and spent, is what is there less what is owed; a debt is there only where nothing is
    available when it is made, and is paid first."""
    holding, net = Holding(), 0
    for deed, amount in deeds:
        before = holding
        if deed == "in":
            holding, repaid = paid_in(holding, amount)
            assert repaid == min(amount, before.debt)
            net += amount
        elif deed == "force":
            holding, owed = taken_by_force(holding, amount)
            assert not owed or holding.available == 0
            assert holding.locked == before.locked
            net -= amount
        elif deed == "spend":
            holding, paid = (after, amount) if (after := spent(holding, amount)) else (holding, 0)
            net -= paid
        else:
            holding = locked(holding, amount if deed == "lock" else -amount) or holding
        assert min(holding) >= 0
        assert net == holding.available + holding.locked - holding.debt


def test_any_debt_keeps_everything_in() -> None:
    """Whatever asset it is of."""
    assert may_take_out([Holding(5), Holding(7)])
    assert not may_take_out([Holding(5), Holding(7, debt=1)])


def test_a_balance_that_is_not_its_history_is_named_with_what_mends_it() -> None:
    """Assets of one side only count as nothing on the other."""
    expected, found = mismatches({"USD": 405, "BTC": 1, "ETH": 2}, [("USD", 500), ("USD", -100), ("BTC", 1), ("SOL", 3)])
    assert {"USD": 400, "BTC": 1, "SOL": 3} == expected
    assert [Mismatch("ETH", 2, 0), Mismatch("SOL", 0, 3), Mismatch("USD", 405, 400)] == found
    assert [-2, 3, -5] == [one.correction for one in found]
    assert (0, 5) == (residual(99_875, 125, 100_000, 0), residual(105, 0, 150, 50))


@given(st.lists(st.integers(0, 40), max_size=40), st.integers(1, 6), st.integers(0, 30))
def test_a_batch_loses_nothing_and_nothing_in_it_waits_too_long(pauses: list[int], size_max: int, wait_max_ms: int) -> None:
    """All items once and in order, none in a batch that is too large, none longer than it may wait."""
    batcher, at_ms, sent, batches = Batcher[int](size_max, wait_max_ms), 0, list[int](), []
    for pause in pauses:
        for now in range(at_ms, at_ms + pause + 1):
            batches += [(now, batch) for batch in [batcher.wake(now)] if batch]
        at_ms += pause
        sent.append(at_ms)
        batches += [(at_ms, batch) for batch in [batcher.add(at_ms, at_ms)] if batch]
    batches += [(at_ms, batch) for batch in [batcher.close()] if batch]
    assert sent == [item for _, batch in batches for item in batch.items]
    assert all(len(batch.items) <= size_max for _, batch in batches)
    assert all(now - batch.items[0] <= wait_max_ms for now, batch in batches if batch.why != "end")
    assert batcher.due_ms is None
