"""The short way from bytes to a leg says what the model says, and takes what is plain."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import topics
from domain.money import worth_cents
from domain.streams.records import RawBatch, RawMessage
from operators.legs import arrival_from, quick_arrival, quick_worth
from operators.streams.decode import decoder

CAME_MS = 1_700_000_000_000
LINES = (
    b'{"id":"b-1","created_at":1700000000000,"direction":"RECEIVE","settlement_currency":"BTC","settlement_amount":1000000,'
    b'"cents_per_unit":"0.05","memo":"JournalId:1"}',
    b'{"id":"u-1","created_at":"2023-11-14T22:13:20Z","direction":"SEND","settlement_currency":"USD","settlement_amount":-50000}',
    b'{"id":"u-2","created_at":1700000000000,"status":"PENDING","direction":"SEND","settlement_currency":"USD",'
    b'"settlement_amount":-1,"settlement_method":"Other","cents_per_unit":"1.0","memo":null}',
    b'{ "settlement_amount" : -7, "id":"\xe2\x82\xac", "created_at":1700000000000,"direction":"SEND","memo":"",'
    b'"settlement_currency":"BTC","cents_per_unit":"0.0400000000000000001","status":"FAILURE"}',
)
GOOD = {
    b"id": (b'"b-1"', b'"\xe2\x82\xac"', b'"' + b"x" * 64 + b'"'),
    b"created_at": (b"1700000000000", b'"2023-11-14T22:13:20Z"', b'"2023-11-14T22:13:20.123456+01:00"', b"1700086400000"),
    b"direction": (b'"RECEIVE"', b'"SEND"'),
    b"settlement_currency": (b'"BTC"', b'"USD"'),
    b"settlement_amount": (b"1000000", b"-1", b"9" * 30, b"-" + b"9" * 20),
    b"cents_per_unit": (b'"0.05"', b'"1"', b'"1.0"', b'"0.040000000000000001"', b'"99999999999999999999"'),
    b"memo": (b'"JournalId:1"', b"null", b'""'),
    b"status": (b'"SUCCESS"', b'"PENDING"', b'"FAILURE"'),
    b"settlement_method": (b'"Other"',),
}
ODD = (
    *(b"0", b"-0", b"1.0", b"1e3", b"01", b"true", b"NaN", b"[]", b"{}", b"", b"2", b"-5", b"9" * 31, b"1800000000000"),
    *(b'"1"', b'"0.0"', b'"-0.05"', b'"1e2"', b'"+1"', b'"1."', b'".5"', b'"' + b"1" * 21 + b'"', b'"1700000000000"'),
    *(b'"\\u0000"', b'"\x7f"', b'"\\ud800"', b'"a\\"b"', b'"\xff"', b'"\xed\xa0\x80"', b'"' + b"x" * 257 + b'"', b'"a":"b"'),
    *(b'"2023-11-14T22:13:20"', b'"2023-11-14"', b'"9999-12-31T23:59:59Z"', b"\xef\xbb\xbf1", b'"success"', b'"EUR"'),
)
OPTIONAL = (b"memo", b"status", b"settlement_method", b"cents_per_unit")
ODD_MEMBERS = (
    (b"schema_version", b"1"),
    (b"schema_version", b"2"),
    (b"more", b"1"),
    (b"id", b'"b-1"'),
    (b"memo", b'"a"'),
    (b"i\\u0064", b'"b-1"'),
    (b"", b"1"),
)


SAID = {quick: decoder(topics.DEALER_TRANSACTIONS, arrival_from, quick) for quick in (None, quick_arrival)}


def both(lines: list[bytes]) -> list[object]:
    """What is made of lines without the short way and with it."""
    messages = [RawMessage(number, CAME_MS, None, line) for number, line in enumerate(lines)]
    batch = RawBatch(topics.DEALER_TRANSACTIONS.name, 0, CAME_MS, messages)
    return [decode(batch) for decode in SAID.values()]


@pytest.mark.parametrize("line", [line for line in LINES if b'" :' not in line])
def test_plain_lines_take_the_short_way(line: bytes) -> None:
    """What a wallet writes is taken at once, whichever fields it leaves out."""
    assert quick_arrival(line, CAME_MS) is not None


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line of fields in any order, most of them good, with any white space; now and then a byte of it is another."""
    left_out = draw(st.sets(st.sampled_from(OPTIONAL)))
    told = {key: draw(st.sampled_from(values)) for key, values in GOOD.items() if key not in left_out}
    if draw(st.integers(0, 3)):
        told[b"direction"] = b'"SEND"' if told[b"settlement_amount"].startswith(b"-") else b'"RECEIVE"'
    members = draw(st.permutations([*told.items()]))
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(members) - 1))
        members[place] = (members[place][0], draw(st.sampled_from(ODD)))
    if draw(st.integers(0, 5)) == 0:
        members.append(draw(st.sampled_from(ODD_MEMBERS)))
    colon, comma = draw(st.sampled_from((b":", b": ", b" :"))), draw(st.sampled_from((b",", b" ,\n")))
    line = bytearray(b"{" + comma.join(b'"' + key + b'"' + colon + value for key, value in members) + b"}")
    if draw(st.integers(0, 5)) == 0:
        line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255))
    return bytes(line)


@settings(max_examples=2_000)
@given(lines())
def test_both_ways_say_the_same(line: bytes) -> None:
    """The short way accepts nothing that the model refuses, and makes nothing else of what both accept."""
    without, with_it = both([line])
    assert without == with_it


@pytest.mark.parametrize("ahead_ms", [-1, 0, 1])
@pytest.mark.parametrize("limit_ms", [1_230_940_800_000, CAME_MS + 86_400_000, 2**42])
def test_both_ways_agree_on_times_at_their_limits(limit_ms: int, ahead_ms: int) -> None:
    """Before there was bitcoin, a day ahead, and at the end of all times that can be told."""
    without, with_it = both([LINES[0].replace(b"1700000000000", str(limit_ms + ahead_ms).encode())])
    assert without == with_it


PRICES = (
    st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{1,18})?\Z") | st.from_regex(r"\A[0-9]{1,3}\.[05]{1,3}\Z") | st.text(max_size=8)
)


@settings(max_examples=1_000)
@given(st.integers(1, 10**30) | st.integers(1, 10**6), PRICES)
def test_a_worth_in_integers_is_the_worth_in_decimals(amount: int, price: str) -> None:
    """Where integers have an answer it is that of the decimals, halves to even; they have one for what wallets write."""
    with suppress(ValueError):
        assert quick_worth(amount, price) == worth_cents(amount, Decimal(price))


@pytest.mark.parametrize(("amount", "cents"), [(50, 2), (150, 6), (51, 2), (149, 6), (1, 0), (12_345_678, 493_827)])
def test_halves_go_to_the_even_cent(amount: int, cents: int) -> None:
    """Half a cent goes to the even one, and anything else to the nearest."""
    assert cents == quick_worth(amount, "0.04")
