"""The file for beancount, read by beancount itself: it accepts what is right, and nothing that was changed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Balance, Commodity, Open, Transaction
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import InvariantError
from domain.ledger.accounts import CHART, Account
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Layer
from domain.money import DECIMALS
from domain.proof.beancount import FIRST_LINE, Tables, beancount_lines
from domain.proof.beancount_text import account_text, commodity_text, layer_text, number_text, quoted
from domain.proof.rows import ACCOUNT_COLUMNS, NULL
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, START_MS, USER, WORKLOADS, credit, debit, moved, posting
from tests.domain.proof.ledger_exports import STORY, Place, changed, exported
from tests.domain.proof.ledger_exports import Tables as Rows

DAY_MS = 86_400_000
MIDNIGHT_US = (START_MS // DAY_MS + 1) * DAY_MS * 1000
"""The one after the start."""

NAMES = {account.id: account_text(account.code, account.normal_side) for account in ACCOUNTS}
PARENTS = {account.code: account.id for account in ACCOUNTS}

ODD = [
    "",
    " ",
    "\n",
    "q",
    "q20q",
    "é",
    "qE9q",
    "0",
    "00",
    "a",
    "A",
    "-",
    "_",
    "//",
    "A/",
    "/A",
    "Settled",
    "A/Settled",
    "😀",
]
CODES = st.sampled_from(ODD) | st.text(alphabet="ABq02F/_-: aeé", max_size=6) | st.text(max_size=128)
WORDS_OF_BEANCOUNT = ["TRUE", "FALSE", "NULL"]
CURRENCIES = st.sampled_from(["BTC", "1INCH", "usd", "X-0", "X-041", "", "A", *WORDS_OF_BEANCOUNT]) | st.text(max_size=16)
WORDS = st.text(alphabet='\n\r\\"nr;', max_size=8) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
)

Read = tuple[list[Any], list[str]]
"""What beancount has read: its entries, and what it complains about."""


def account_cells(account: Account) -> list[str]:
    """An account as an export has it."""
    told = account._asdict() | {
        "account_id": account.id,
        "parent_id": PARENTS.get(account.parent or ""),
        "is_summary": str(any(other.parent == account.code for other in ACCOUNTS)).lower(),
        "opened_at_us": START_MS * 1000,
    }
    return [NULL if told[name] is None else str(told[name]) for name in ACCOUNT_COLUMNS]


def tables(rows: Rows, closed_us: Sequence[int] = (), accounts: Iterable[list[str]] | None = None) -> Tables:
    """The tables of an export, of which periods were closed until these times."""
    periods = [[str(until_us), "0", "somebody", "{}"] for until_us in closed_us]
    accounts = map(account_cells, ACCOUNTS) if accounts is None else accounts
    return Tables(accounts, periods, rows["effective_delta"], rows["balance"], rows["tx"], rows["entry"], rows["batch"])


def read(text: str) -> Read:
    """What beancount makes of a text."""
    entries, errors, _ = loader.load_string(text)
    return entries, [error.message for error in errors]


def written(told: Tables) -> Read:
    """What beancount makes of the file."""
    return read("".join(beancount_lines(told)))


def in_units(minor: int, currency: str) -> Decimal:
    """An amount in whole units, by the rule."""
    return Decimal(f"{minor}E-{DECIMALS.get(currency, 0)}")


def balances_of(rows: Rows) -> dict[tuple[str, str], Decimal]:
    """The balances of an export by the names that they have in beancount, without those of nothing."""
    found = {}
    for number, currency, _, *totals in rows["balance"]:
        for layer, debits, credits_ in zip(Layer, totals[::2], totals[1::2], strict=True):
            minor = int(debits) - int(credits_)
            found[layer_text(NAMES[int(number)], layer), commodity_text(currency)] = in_units(minor, currency)
    return {key: balance for key, balance in found.items() if balance}


def added_up(entries: Iterable[Any]) -> dict[tuple[str, str], Decimal]:
    """What all transactions come to as beancount has read them, without what comes to nothing."""
    sums: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for leg in entry.postings if isinstance(entry, Transaction) else ():
            sums[leg.account, leg.units.currency] += leg.units.number
    return {key: Decimal(amount) for key, amount in sums.items() if amount}


@given(st.lists(CODES, unique=True, max_size=20), st.sampled_from([DEBIT, CREDIT]))
@example(ODD, DEBIT)
def test_no_two_codes_become_one_account(codes: list[str], side: int) -> None:
    """Whatever text they are: in all layers each has a name of its own, and none is below another, which would count it."""
    names = [layer_text(account_text(code, side), layer) for code in codes for layer in Layer]
    assert len(codes) * len(Layer) == len(set(names))
    assert [] == [name for name in names for other in names if name.startswith(f"{other}:")]


@given(st.lists(CODES, unique=True, max_size=10), st.sampled_from([DEBIT, CREDIT]))
def test_every_code_is_an_account_that_beancount_opens(codes: list[str], side: int) -> None:
    """Its own grammar takes the name, and gives the code back as it was."""
    storable = [code for code in codes if "\0" not in code]
    opened = [f"1970-01-01 open {account_text(code, side)}:Settled\n  code: {quoted(code)}\n" for code in storable]
    entries, errors = read("".join(opened))
    assert [] == errors
    assert sorted(storable) == sorted(entry.meta["code"] for entry in entries)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("STABLESATS_OMNIBUS", "Assets:STABLESATS-OMNIBUS"),
        ("STABLESATS_LIABILITY", "Liabilities:STABLESATS-LIABILITY"),
        ("POSITION/simulated", "Assets:POSITION:0simulated"),
        ("POSITION/Settled", "Assets:POSITION:0Settled"),
        ("POSITION/okx-2", "Assets:POSITION:0okxq2Dq2"),
        ("CLEARING/0/1", "Assets:CLEARING:00:1"),
        ("TRADING_FEES/simulated", "Expenses:TRADING-FEES:0simulated"),
        ("NETWORK_FEES", "Expenses:NETWORK-FEES"),
        ("TRADING_PNL/simulated", "Income:TRADING-PNL:0simulated"),
        ("FUNDING_RATE_PAYMENTS", "Income:FUNDING-RATE-PAYMENTS"),
    ],
)
def test_names_can_be_read(code: str, name: str) -> None:
    """Codes as they are in use look like themselves, under the root of their side, or of what they earn or cost."""
    sides = {account.code: account.normal_side for account in CHART}
    assert name == account_text(code, sides.get(code, DEBIT))


@given(st.lists(CURRENCIES, unique=True, max_size=20))
def test_no_two_currencies_become_one_commodity(currencies: list[str]) -> None:
    """Whatever text they are, each is a commodity of its own, which beancount takes for one."""
    names = [commodity_text(currency) for currency in currencies]
    entries, errors = read("".join([f"1970-01-01 commodity {name}\n" for name in names]))
    assert [] == errors
    assert sorted(names) == sorted({entry.currency for entry in entries})


@given(st.integers(-(10**38), 10**38), st.sampled_from(["BTC", "USD", "EUR"]))
def test_amounts_are_exact(minor: int, currency: str) -> None:
    """To the last digit, with as many decimals as the currency has."""
    text = number_text(minor, currency)
    assert in_units(minor, currency) == Decimal(text)
    assert DECIMALS.get(currency, 0) == len(text.partition(".")[2])


@given(WORKLOADS, st.data())
def test_every_ledger_is_accepted(workload: list[Any], data: st.DataObject) -> None:
    """However it was filled and whenever periods were closed, beancount accepts it, and adds up what the ledger has."""
    cut = data.draw(st.integers(0, len(workload)))
    rows = exported([batch for batch in (workload[:cut], workload[cut:]) if batch])
    closed_us = data.draw(st.lists(st.integers(-2, 4).map(lambda half: MIDNIGHT_US + half * DAY_MS * 500), max_size=3))
    entries, errors = written(tables(rows, closed_us))
    assert [] == errors
    assert len(rows["tx"]) == sum(isinstance(entry, Transaction) for entry in entries)
    assert balances_of(rows) == added_up(entries)


@given(st.data())
def test_an_amount_that_was_changed_is_refused(data: st.DataObject) -> None:
    """One entry, by one minor unit: the transaction does not balance, or else the account is not what its balance is."""
    entry = data.draw(st.integers(0, len(STORY["entry"]) - 1))
    amount = int(STORY["entry"][entry][8]) + data.draw(st.sampled_from([-1, 1]))
    assert [] != written(tables(changed(STORY, Place("entry", entry, "amount"), str(amount))))[1]


@given(st.data())
def test_a_transaction_that_was_changed_in_balance_is_refused(data: st.DataObject) -> None:
    """Both sides of it by one minor unit, or one that is left out with its entries: the balances are others."""
    header = data.draw(st.sampled_from(STORY["tx"]))
    by = data.draw(st.sampled_from([-1, 1, None]))
    raised = [[*row[:8], str(int(row[8]) + (by or 0)), row[9]] if row[1] == header[2] else row for row in STORY["entry"]]
    left = {"tx": [row for row in STORY["tx"] if row != header], "entry": [row for row in raised if row[1] != header[2]]}
    assert [] != written(tables({**STORY, **({"entry": raised} if by else left)}))[1]


@pytest.mark.parametrize("closed_us", [MIDNIGHT_US, MIDNIGHT_US + 1, MIDNIGHT_US + DAY_MS * 1000 - 1])
def test_a_closed_period_is_asserted_at_its_last_midnight(closed_us: int) -> None:
    """What happened after it does not count, however early it was recorded, and what happened before it does, however late."""
    after, late = moved(2, CASH, USER, 2)._replace(effective_at_ms=START_MS + DAY_MS), moved(3, CASH, USER, 4)
    rows = exported([[moved(1, CASH, USER, 1)], [after, late]])
    entries, errors = written(tables(rows, [closed_us]))
    told = [(entry.date, entry.amount.number) for entry in entries if isinstance(entry, Balance) and "CASH" in entry.account]
    assert [] == errors
    assert [(date(2023, 11, 15), Decimal("0.05")), (date(2023, 11, 16), Decimal("0.07"))] == told


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (Place("tx", 0, "effective_at_ms"), str(START_MS + DAY_MS)),
        (Place("tx", 0, "effective_at_ms"), str(START_MS - DAY_MS)),
        (Place("effective_delta", 0, "delta"), "0"),
        (Place("effective_delta", 0, "effective_date"), "2023-11-15"),
        (Place("entry", 0, "layer"), "2"),
        (Place("entry", 0, "account_id"), "108"),
    ],
)
def test_what_was_changed_in_a_closed_period_is_refused(place: Place, value: str) -> None:
    """A transaction on another day, a sum by date that is another one, and money in another layer or account."""
    assert [] == written(tables(STORY, [MIDNIGHT_US]))[1]
    assert [] != written(tables(changed(STORY, place, value), [MIDNIGHT_US]))[1]


@pytest.mark.parametrize("totals", [["1", "0"], ["0", "1"]])
def test_a_balance_that_was_changed_is_refused(totals: list[str]) -> None:
    """One minor unit on one side, which beancount would tolerate for its decimals, and a balance of what was never used."""
    number, currency, version, *rest = STORY["balance"][0]
    by_one = [str(int(cell) + int(more)) for cell, more in zip(rest[:2], totals, strict=True)]
    other = [[number, currency, version, *by_one, *rest[2:]], *STORY["balance"][1:]]
    assert 1 == len(written(tables({**STORY, "balance": other}))[1])
    unused = ["106", "BTC", "1", *totals, "0", "0", "0", "0"]
    assert 1 == len(written(tables({**STORY, "balance": [*STORY["balance"], unused]}))[1])


@given(WORDS, WORDS, WORDS, WORDS)
def test_texts_come_back_as_they_were(template: str, source: str, memo: str, meaning: str) -> None:
    """Each on one line, whatever it has in it: in templates, sources, metadata and the meaning of accounts."""
    told = posting(1, debit(CASH, 5), credit(USER, 5))._replace(
        template=template, source=source, meta=meta_text({"memo": memo})
    )
    accounts = [account_cells(account._replace(meaning=meaning)) for account in ACCOUNTS]
    entries, errors = written(tables(exported([[told]]), accounts=accounts))
    assert [] == errors
    (one,) = [entry for entry in entries if isinstance(entry, Transaction)]
    assert (template, source, told.meta) == (one.narration, one.meta["source"], one.meta["meta"])
    assert {meaning} == {entry.meta["meaning"] for entry in entries if isinstance(entry, Open)}
    assert [] == [text for text in (template, source, memo, meaning) if {"\n", "\r"} & {*quoted(text)}]


def test_a_currency_without_a_word_is_known_by_its_code() -> None:
    """It is a commodity that says which one it is, and is counted in minor units."""
    rows = exported([[posting(1, debit(CASH, 5, "1INCH"), credit(USER, 5, "1INCH"))]])
    entries, errors = written(tables(rows))
    (odd,) = [entry for entry in entries if isinstance(entry, Commodity) and entry.currency not in DECIMALS]
    assert ([], "1INCH", 0) == (errors, odd.meta["code"], odd.meta["decimals"])
    assert {Decimal(5), Decimal(-5)} == set(added_up(entries).values())


def test_a_ledger_without_entries_is_accepted() -> None:
    """All accounts that take entries are there, bound to the currency that they are bound to, and their sums are not."""
    entries, errors = written(tables(exported([])))
    assert [] == errors
    bound = {account.code: account.currency and [account.currency] for account in ACCOUNTS if account.code != "ASSETS"}
    assert bound == {entry.meta["code"]: entry.currencies for entry in entries if isinstance(entry, Open)}


def test_the_head_of_the_chain_is_told() -> None:
    """The file begins as files of ours do, and ends with what `verify --head` takes."""
    lines = "".join(beancount_lines(tables(STORY))).splitlines(keepends=True)
    number, shard, *_, digest = STORY["batch"][-1]
    assert (FIRST_LINE, f";; {shard}:{number}:{digest}\n") == (lines[0], lines[-1])


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("accounts", [["101", "CASH"]]),
        ("accounts", []),
        ("periods", [["tomorrow", "0", "somebody", "{}"]]),
        ("periods", [[str(10**30), "0", "somebody", "{}"]]),
        ("sums", [["1", "101", "USD", "4", "2023-11-14", "5"]]),
        ("sums", [["1", "101", "USD", "1", "2023-11-41", "5"]]),
        ("balances", [["101", "USD", "1", "5", "0", "0", "0", "0"]]),
        ("balances", [["9", "USD", "1", "5", "0", "0", "0", "0", "0"]]),
        ("headers", STORY["tx"][1:]),
        ("headers", STORY["tx"][:-1]),
        ("headers", [["1"]]),
        ("entries", STORY["entry"][1:]),
        ("entries", STORY["entry"][:-1]),
        ("entries", [STORY["entry"][0], *STORY["entry"]]),
        ("batches", [["1"]]),
    ],
)
def test_rows_that_are_none_of_a_ledger_are_refused(table: str, rows: list[list[str]]) -> None:
    """In a sentence that leads to the proof, which names what was changed."""
    with pytest.raises(InvariantError, match="ballast ledger verify"):
        list(beancount_lines(tables(STORY)._replace(**{table: rows})))
