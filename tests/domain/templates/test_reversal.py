"""Reversals: the mirror of what was settled, told the same however often it is asked for."""

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.journal import Entry, Layer, Relation
from domain.ledger.memory import MemoryLedger
from domain.templates.reversal import reversal
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, START_MS, USER, credit, debit, moved, posting

AMOUNTS = st.lists(st.integers(-(10**30), 10**30).filter(bool), min_size=1, max_size=8).filter(sum)


@given(AMOUNTS, st.integers(0, 10**9))
def test_a_transaction_and_its_reversal_come_to_nothing(amounts: list[int], later_ms: int) -> None:
    """Whatever was moved, and whenever it is taken back, every balance is zero again."""
    ledger = MemoryLedger(ACCOUNTS)
    entries: list[Entry] = []
    for amount in amounts:
        entries += [debit(CASH, amount), credit(USER, amount)]
    original = posting(1, *entries)
    back = reversal(original, START_MS + later_ms)
    assert back is not None
    assert ["posted", "posted"] == [str(verdict.outcome) for verdict in ledger.post([original, back]).verdicts]
    assert {0} == {balance.settled for balance in ledger.balances()}


def test_a_reversal_names_its_original_and_belongs_to_the_same_matter() -> None:
    """Cause, correlation and reason are there; asked for again it has the same id, at another time another one."""
    original = moved(1, CASH, USER, 5)
    back, again, later = (reversal(original, START_MS + late_ms, "why") for late_ms in (1, 1, 2))
    assert back is not None
    assert later is not None
    assert back == again
    assert back.id != later.id
    assert (Relation.REVERSES, original.id, True) == back.cause
    assert (original.correlation_id, '{"reason":"why"}', START_MS + 1) == (
        back.correlation_id,
        back.meta,
        back.effective_at_ms,
    )


def test_what_is_only_held_has_no_reversal() -> None:
    """A hold is voided instead."""
    assert reversal(moved(1, CASH, USER, 5, Layer.PENDING), START_MS) is None
