"""Entries know what their transactions say of them: what the outside calls them, and which break they correct."""

from domain.ledger.journal import Transaction
from domain.reconciling.items import Corrects, Entry, entry_of
from domain.templates.cash_flows import deposit
from domain.templates.reconciliation import Correction, reconciliation

CORRECTION = Correction("c1", "b1", "CASH", "FEES", "USD", 5, 7, ["s/1"], ["t"], "a fee", "anna", "boris")


def read(told: Transaction, account: str) -> Entry:
    """What a transaction moved on one of its accounts."""
    amount = sum(entry.side * entry.amount for entry in told.entries if entry.account == account)
    return entry_of(told.id, told.effective_at_ms, amount, account, told.correlation_id, told.reverses, told.meta)


def test_an_entry_is_known_by_what_the_outside_calls_it() -> None:
    """The line of a venue's history and our own id at it, and the transaction; not the venue's name."""
    told = deposit(5, effective_at_ms=7, venue="north", flow_id="f1", client_id="c1", source="x/0", source_offset=1)
    assert told is not None
    entry = read(told, "TREASURY_WALLET")
    assert ({told.id, "f1", "c1"}, -5) == (set(entry.references), entry.amount)


def test_a_correction_corrects_the_account_of_its_break_alone() -> None:
    """On the account that stands against it, it is an entry like any other."""
    told = reconciliation(CORRECTION)
    assert Corrects("b1", ("s/1",), ("t",)) == read(told, "CASH").corrects
    assert (None, -5) == (read(told, "FEES").corrects, read(told, "FEES").amount)
