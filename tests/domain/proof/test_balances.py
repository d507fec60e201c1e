"""Balances against the sum of their entries: any that differs is named, and shows what was cut off from a ledger."""

from hypothesis import given
from hypothesis import strategies as st

from domain.proof.balances import OtherBalance
from domain.proof.rows import (
    BALANCE_COLUMNS,
)
from tests.domain.ledger.ledger_workloads import (
    CASH,
    USER,
)
from tests.domain.proof.ledger_exports import BY_NUMBER, STORY, Place, broken, changed, differing


def test_what_is_cut_off_at_the_end_shows_in_the_balances() -> None:
    """The chain of what is left is whole, and the balances have more in them than its entries come to."""
    cut = {name: [row for row in rows if row[0] != "7"] for name, rows in STORY.items() if name != "balance"}
    assert {} == broken(cut)
    named = {(one.account, one.currency, one.column) for one in differing({**cut, "balance": STORY["balance"]})}
    assert {(CASH, "USD", "version"), (CASH, "USD", "settled_debit")} <= named
    assert {(USER, "USD", "version"), (USER, "USD", "settled_credit")} <= named


@given(st.data())
def test_any_number_of_a_balance_that_is_changed_is_named(data: st.DataObject) -> None:
    """The account and the column, what it says, and what the entries come to."""
    row = data.draw(st.integers(0, len(STORY["balance"]) - 1))
    column = data.draw(st.integers(2, len(BALANCE_COLUMNS) - 1))
    by = data.draw(st.integers().filter(bool))
    rows = [list(cells) for cells in STORY["balance"]]
    said = int(rows[row][column])
    rows[row][column] = str(said + by)
    account = BY_NUMBER[int(rows[row][0])].code
    expected = [OtherBalance(account, rows[row][1], BALANCE_COLUMNS[column], said + by, said)]
    assert expected == differing({**STORY, "balance": rows})


def test_a_balance_that_is_gone_or_new_or_unreadable_is_named() -> None:
    """One less, one that no entry ever touched, and one that has no number in it."""
    first, *others = STORY["balance"]
    versions = [("version", None, int(first[2]))]
    assert versions == [one[2:] for one in differing({**STORY, "balance": others})]
    new = ["999", "USD", "1", *["0"] * 6]
    assert [OtherBalance("999", "USD", "version", 1, 0)] == differing({**STORY, "balance": [*STORY["balance"], new]})
    bad = [*first[:3], "x", *first[4:]]
    assert "unreadable" in [one.column for one in differing({**STORY, "balance": [bad, *others]})]


def test_nothing_is_said_of_balances_with_a_broken_entry() -> None:
    """It is the entry that was changed, and its batch is named."""
    assert [] == differing(changed(STORY, Place("entry", 4, "amount"), "6"))
