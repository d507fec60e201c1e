"""The ledger in memory: the fold, kept."""

from hypothesis import given

from domain.ledger.journal import Matter, Transaction, reversal_of
from domain.ledger.memory import MemoryLedger
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, START_MS, USER, WORKLOADS, credit, debit, moved, posting


def test_a_repeat_is_answered_with_the_balances_it_touched() -> None:
    """A duplicate changes nothing and gives the present balances again, so nothing downstream is lost."""
    ledger = MemoryLedger(ACCOUNTS)
    ledger.post([moved(1, CASH, USER, 5)])
    after = ledger.post([moved(2, CASH, USER, 7)]).balances
    again = ledger.post([moved(1, CASH, USER, 5)])
    assert [verdict.outcome for verdict in again.verdicts] == ["duplicate"]
    assert after == again.balances


def test_history_gives_headers_in_the_order_they_were_booked() -> None:
    """Transactions of one matter come back oldest first and without entries; those of others do not."""
    ledger = MemoryLedger(ACCOUNTS)
    first, second, other = moved(5, CASH, USER, 1), moved(2, CASH, USER, 1), moved(3, CASH, USER, 1)
    ledger.post([first, second, other._replace(correlation_id="other")])
    found = ledger.history().of_matters([Matter(first.correlation_id, START_MS, START_MS + 1)])
    assert [first.id, second.id] == [one.id for one in found]
    assert {()} == {one.entries for one in found}
    assert [] == ledger.history().of_matters(
        [Matter(first.correlation_id, START_MS + 1, START_MS + 2), Matter("x", 0, START_MS + 1)]
    )


def test_a_reversal_in_a_later_batch_finds_its_original() -> None:
    """Originals are known across batches, and so is that they are reversed."""
    ledger = MemoryLedger(ACCOUNTS)
    first = moved(1, CASH, USER, 5)
    ledger.post([first])
    back = [posting(n, debit(CASH, -5), credit(USER, -5), cause=reversal_of(first.id)) for n in (2, 3)]
    verdicts = [ledger.post([one]).verdicts[0] for one in back]
    assert [verdict.reason for verdict in verdicts] == [None, "already_reversed"]


@given(WORKLOADS)
def test_rows_for_export_add_up_to_the_balances(transactions: list[Transaction]) -> None:
    """Entries as rows sum to the settled balances, and each transaction row counts its entries."""
    ledger = MemoryLedger(ACCOUNTS)
    ledger.post(transactions)
    sums: dict[tuple[str, str], int] = {(one.account, one.currency): 0 for one in ledger.balances()}
    for row in ledger.entry_rows():
        if row["layer"] == 1:
            sums[row["account"], row["currency"]] += row["side"] * row["amount"]
    assert {(one.account, one.currency): one.settled for one in ledger.balances()} == sums
    assert len(ledger.entry_rows()) == sum(row["entries"] for row in ledger.transaction_rows())
    assert len(ledger.balance_rows()) == len(sums)
