"""The chart of accounts."""

from domain.accounts import BY_CODE, CHART, LIABILITY


def test_ids_and_codes_are_unique() -> None:
    """No two accounts share an id or a code."""
    assert len(CHART) == len({account.id for account in CHART}) == len(BY_CODE)


def test_ids_are_frozen() -> None:
    """The ids of the chart stand in the ledger for ever: they do not move when an account is added."""
    expected = [
        "EXTERNAL_OMNIBUS",
        "STABLESATS_BTC_WALLET",
        "STABLESATS_OMNIBUS",
        "STABLESATS_LIABILITY",
        "OKEX_ALLOCATION",
        "BITFINEX_ALLOCATION",
        "QUOTES_OMNIBUS",
        "QUOTES_LIABILITIES",
        "QUOTES_ASSETS",
        "EXCHANGE_POSITION_OMNIBUS",
        "OKEX_POSITION",
        "EXCHANGE_FUNDING",
        "EXCHANGE_TRADING",
        "EXCHANGE_TRANSIT",
        "TREASURY_WALLET",
        "TRADING_FEES",
        "TRADING_PNL",
        "FUNDING_PAYMENTS",
        "NETWORK_FEES",
        "ROUNDING",
    ]
    assert dict(enumerate(expected, 1)) == {account.id: account.code for account in CHART[:20]}


def test_normal_sides_are_those_of_the_reference_system() -> None:
    """Debit-normal are what we have and the omnibus counter accounts, as in the reference system."""
    debit_normal = {"EXTERNAL_OMNIBUS", "STABLESATS_OMNIBUS", "QUOTES_ASSETS", "OKEX_POSITION"}
    assert debit_normal == {account.code for account in CHART[:11] if account.normal_side == 1}


def test_what_hedging_watches_is_an_account_of_the_chart() -> None:
    """The liability is a balance that exists, in the currency that its account takes."""
    assert LIABILITY[1] == BY_CODE[LIABILITY[0]].currency
