"""Reading statements: what is right becomes the message, what is wrong one sentence with its line and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.recon import Statement
from domain.reconciling.csv_lines import Unreadable, minor_units
from domain.reconciling.statements import Expected, read_statement

EXPECTED = Expected("bank:first", "CASH", "USD")
CSV = """record,id,at,currency,amount,reference,description
opening,s1,2026-01-31T00:00:00Z,USD,100.00,,
line,1,2026-01-31T09:00:00Z,USD,20.5,deposit 7,"of Anna, thanks"
line,2,2026-01-31T12:00:00Z,USD,-5,,fee
closing,s1,2026-02-01T00:00:00Z,USD,115.50,,
"""
JSON = """{"statement_id":"s1","source":"bank:first","account":"CASH","currency":"USD",
"since":"2026-01-31T00:00:00Z","until":"2026-02-01T00:00:00Z","opening":10000,"closing":11550,"lines":[
{"line_id":"1","at":"2026-01-31T09:00:00Z","amount":2050,"reference":"deposit 7","description":"of Anna, thanks"},
{"line_id":"2","at":"2026-01-31T12:00:00Z","amount":-500,"description":"fee"}]}
"""


def read(text: str) -> Statement | Unreadable:
    """Read a text as a statement of the account."""
    return read_statement(text.encode(), EXPECTED)


def test_both_forms_tell_the_same_statement() -> None:
    """In minor units, from our side."""
    told = read(CSV)
    assert isinstance(told, Statement)
    assert told == read(JSON)
    assert [2050, -500] == [line.amount for line in told.lines]


def test_line_ends_of_another_system_are_the_same() -> None:
    """A file that comes from Windows, or without an end to its last line."""
    assert read(CSV) == read(CSV.replace("\n", "\r\n")) == read(CSV.rstrip("\n"))


BAD: dict[str, tuple[str, int, str]] = {
    "mark of the byte order": ("\ufeff" + CSV, 1, "byte-order mark"),
    "mark before JSON": ("\ufeff" + JSON, 1, "byte-order mark"),
    "new column": (CSV.replace("description\n", "description,balance\n"), 1, "'balance' is new"),
    "missing column": (CSV.replace("reference,description\n", "description\n"), 1, "'reference' is missing"),
    "renamed column": (CSV.replace("amount,", "betrag,"), 1, "'betrag' is new, 'amount' is missing"),
    "moved column": (CSV.replace("id,at", "at,id"), 1, "'at' has moved"),
    "column twice": (CSV.replace("description\n", "description,at\n"), 1, "'at' stands twice"),
    "empty": ("", 1, "'record' is missing"),
    "separator of thousands": (CSV.replace("20.5,", '"1,020.50",'), 3, "separators of thousands; write it as 1234.56"),
    "separator of thousands, no fraction": (CSV.replace("20.5,", '"1,020",'), 3, "separators of thousands"),
    "apostrophes": (CSV.replace("20.5,", "1'020.50,"), 3, "separators of thousands"),
    "other separators": (CSV.replace("20.5,", '"1.020,50",'), 3, "separators of thousands"),
    "comma for a point": (CSV.replace("20.5,", '"20,5",'), 3, "a comma for a point"),
    "no amount": (CSV.replace("20.5,", ","), 3, "is missing"),
    "exponent": (CSV.replace("20.5,", "2e1,"), 3, "no plain decimal"),
    "too precise": (CSV.replace("20.5,", "20.505,"), 3, "more than the 2 digits of USD"),
    "zero": (CSV.replace("20.5,", "0,"), 3, "must not be zero"),
    "another currency": (CSV.replace("12:00:00Z,USD", "12:00:00Z,EUR"), 4, "the currency is 'EUR', and the account has USD"),
    "duplicate line": (CSV.replace("line,2", "line,1"), 4, "the id '1' is that of line 3; take the duplicate out"),
    "no zone": (CSV.replace("09:00:00Z", "09:00:00"), 3, "has no zone; put a Z behind it"),
    "no time": (CSV.replace("2026-01-31T09:00:00Z", "31.1.2026"), 3, "is not a time"),
    "outside": (CSV.replace("2026-01-31T09", "2026-02-01T09"), 3, "not within the period"),
    "does not add up": (CSV.replace("115.50", "115.51"), 5, "come to 11550 in minor units, closing says 11551"),
    "no closing": (CSV[: CSV.index("closing")], 4, "'closing' has to be"),
    "only a header": (CSV[: CSV.index("opening")], 0, "has not both"),
    "two statements": (CSV.replace("closing,s1", "closing,s2"), 5, "load one statement at a time"),
    "unknown record": (CSV.replace("line,2", "fee,2"), 4, "the record is 'fee' where 'line' has to be"),
    "a cell too many": (CSV.replace(",fee", ",fee,x"), 4, "there are 8 cells where the header has 7"),
    "no name": (CSV.replace("line,1", "line,"), 3, "line_id: String should have at least 1 character"),
    "ends before it begins": (CSV.replace("closing,s1,2026-02-01", "closing,s1,2026-01-30"), 3, "not within the period"),
    "open quote": (CSV.replace('thanks"', "thanks"), 0, "is no CSV"),
    "JSON cut off": (JSON[:200], 0, "Invalid JSON"),
    "JSON of another account": (JSON.replace('"CASH"', '"BANK"'), 0, "says account 'BANK', and it is loaded for 'CASH'"),
    "JSON in another currency": (JSON.replace('"USD"', '"EUR"'), 0, "says currency 'EUR'"),
    "JSON with an unknown field": (JSON.replace('"opening"', '"saldo":1,"opening"'), 0, "saldo"),
    "JSON with a quoted amount": (JSON.replace("-500", '"-500"'), 4, "amount: Input should be a valid integer"),
    "JSON with a float": (JSON.replace("-500", "-500.0"), 4, "amount"),
    "JSON with a duplicate": (
        JSON.replace('"line_id":"2"', '"line_id":"1"'),
        0,
        "line 2 has the line_id '1' of a line before it",
    ),
    "JSON that does not add up": (JSON.replace("11550", "11551"), 0, "come to 11550, and closing says 11551"),
    "JSON outside": (JSON.replace("2026-01-31T09", "2026-02-01T09"), 0, "not within since and until"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_sentence_with_its_line(case: str) -> None:
    """The line of the file where there is one, and what to do."""
    text, line, said = BAD[case]
    found = read(text)
    assert isinstance(found, Unreadable), found
    assert said in found.said
    assert "\n" not in found.said
    assert line in (0, found.line)


def test_a_file_in_another_encoding_names_the_line() -> None:
    """Of the first byte that is none of UTF-8."""
    found = read_statement(CSV.replace("Anna", "Zoë").encode("latin-1"), EXPECTED)
    assert Unreadable(3, "this is not UTF-8; save the file as UTF-8") == found


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_file_raises(raw: bytes) -> None:
    """Whatever bytes it has."""
    assert isinstance(read_statement(raw, EXPECTED), Unreadable)


@given(st.text("0123456789.,'- ", max_size=8))
def test_an_amount_is_read_in_one_way_or_not(text: str) -> None:
    """What is read is what stands there, to the last digit."""
    found = minor_units(text, "USD")
    if isinstance(found, int):
        whole, _, fraction = text.partition(".")
        assert found == int(whole + (fraction + "00")[:2])
        assert "," not in text


def test_a_currency_of_which_the_digits_are_not_known_is_loaded_as_json() -> None:
    """It is said so, and nothing is guessed."""
    found = read_statement(CSV.encode(), EXPECTED._replace(currency="XAU"))
    assert isinstance(found, Unreadable)
    assert "load it as JSON" in found.said
