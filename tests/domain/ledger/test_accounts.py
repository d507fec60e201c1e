"""The chart of accounts: what is always there, and what venues and books bring."""

import pytest

from domain.ledger.accounts import (
    CHART,
    FIXED,
    LIABILITY,
    OF_BOOKS,
    OF_VENUES,
    Account,
    at_venue,
    book_accounts,
    chart,
    numbered,
    venue_accounts,
)

BY_CODE = {account.code: account for account in FIXED}


def test_ids_are_frozen() -> None:
    """The ids of what is always there stand in the ledger for ever: they do not move when an account is added."""
    expected = [
        "EXTERNAL_OMNIBUS",
        "STABLESATS_BTC_WALLET",
        "STABLESATS_OMNIBUS",
        "STABLESATS_LIABILITY",
        "QUOTES_OMNIBUS",
        "QUOTES_LIABILITIES",
        "QUOTES_ASSETS",
        "EXCHANGE_POSITION_OMNIBUS",
        "TREASURY_WALLET",
        "NETWORK_FEES",
        "ROUNDING",
        "FX_POSITION",
        "ALLOCATION",
        "POSITION",
        "FUNDING_ACCOUNT",
        "TRADING_ACCOUNT",
        "TRANSIT",
        "TRADING_FEES",
        "TRADING_PNL",
        "FUNDING_RATE_PAYMENTS",
        "POSITION_SUSPENSE",
    ]
    assert dict(enumerate(expected, 1)) == {account.id: account.code for account in FIXED[:21]}


def test_normal_sides_are_those_of_the_reference_system() -> None:
    """Debit-normal are what we have and the omnibus counter accounts, as in the reference system."""
    reference = [*FIXED[:8], BY_CODE["ALLOCATION"], BY_CODE["POSITION"]]
    debit_normal = {"EXTERNAL_OMNIBUS", "STABLESATS_OMNIBUS", "QUOTES_ASSETS", "POSITION"}
    assert debit_normal == {account.code for account in reference if account.normal_side == 1}


def test_what_hedging_watches_is_an_account_of_the_chart() -> None:
    """The liability is a balance that exists, in the currency that its account takes."""
    assert LIABILITY[1] == BY_CODE[LIABILITY[0]].currency


@pytest.mark.parametrize("own", [*venue_accounts("okx"), *book_accounts("okx")])
def test_an_account_of_a_venue_or_book_is_like_the_sum_above_it(own: Account) -> None:
    """It has the code of the sum and its own name, the same side, currency and journal, and no id yet."""
    above = BY_CODE[own.parent or ""]
    assert (f"{above.code}/okx", 0) == (own.code, own.id)
    assert above[2:5] == own[2:5]


def test_a_chart_has_the_accounts_of_every_venue_and_book() -> None:
    """Each code once, parents before their children, and no sum over venues or books without its parts."""
    accounts = chart(["okx", "simulated", "elsewhere"], ["main", "okx"])
    codes = [account.code for account in accounts]
    assert len(FIXED) + 3 * 8 + 2 == len(codes) == len(set(codes))
    assert all(codes.index(account.parent) < codes.index(account.code) for account in accounts if account.parent)
    assert {account.code for account in (*OF_BOOKS, *OF_VENUES)} == {
        account.parent for account in accounts if account.parent
    }


def test_what_has_no_id_gets_the_next_one() -> None:
    """From 1000 up, above those that are taken, in order; ids that are there stay."""
    given = numbered([*CHART, Account(1007, "TAKEN", 1, "Test"), *venue_accounts("okx")])
    ids = [account.id for account in given]
    assert ids[: len(FIXED)] == [account.id for account in FIXED]
    assert sorted(set(ids)) == sorted(ids)
    assert ids[len(FIXED) :] == [*range(1008, 1017), 1007, *range(1017, 1025)]
    assert [1000, 1001] == [account.id for account in numbered(venue_accounts("okx"))][:2]


@pytest.mark.parametrize(
    ("code", "found"),
    [("POSITION", "POSITION/okx"), ("TRADING_FEES", "TRADING_FEES/okx"), ("NETWORK_FEES", "NETWORK_FEES")],
)
def test_a_venue_books_on_its_own_account_where_it_has_one(code: str, found: str) -> None:
    """The wallet and the fees of the chain are shared; the rest is each venue's."""
    assert found == at_venue(code, "okx")
