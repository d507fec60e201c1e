"""Legs: what a message comes to, and what two partners must have in common."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.body import canonical, meta_text
from domain.messages.dealer import DealerTransaction
from domain.pairing.legs import Leg, difference, leg_from, legs_from_json, pairing_key, to_json, user_buys_usd
from domain.pairing.match import match_first
from tests.words import leg as words_leg

LEGS = st.builds(
    Leg,
    id=st.text("abc", min_size=1, max_size=3),
    created_at_ms=st.sampled_from((0, 999, 1_000, 1_999)),
    status=st.just("SUCCESS"),
    direction=st.sampled_from(("RECEIVE", "SEND")),
    currency=st.sampled_from(("BTC", "USD")),
    amount=st.integers(1, 9),
    method=st.sampled_from(("a", "a/", "a/JournalId:1", "1/a")),
    memo=st.sampled_from((None, "", "tea", "JournalId:1", "/JournalId:1", "JournalId:1/a")),
    cents=st.integers(1, 4),
)


def _legs(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Leg]:
    amounts, named = st.integers(0, 10**30), dict.fromkeys(("status", "direction", "currency", "method"), texts)
    times, memos = st.integers(0, 10**14), st.none() | texts
    return st.builds(Leg, id=st.text(), created_at_ms=times, amount=amounts, cents=amounts, memo=memos, **named)


ANY_LEGS = _legs(st.text(st.characters()) | st.text('\\u0d8é"\x00\x1f\x7f'))
"""Legs with any texts, of which some cannot be stored; their ids can be written in UTF-8, as no other is ever read."""


def test_leg_of_a_message() -> None:
    """A leg has absolute amounts, and its worth is rounded half to even."""
    message = DealerTransaction(
        id="b1",
        created_at="2023-11-14T22:13:20Z",
        direction="SEND",
        settlement_currency="BTC",
        settlement_amount=-75,
        cents_per_unit="0.02",
    )
    expected = Leg("b1", 1_700_000_000_000, "SUCCESS", "SEND", "BTC", 75, "SettlementViaIntraLedger", None, 2)
    assert expected == leg_from(message)


@pytest.mark.parametrize(
    ("amount", "price", "cents"), [(25, "0.02", 0), (75, "0.02", 2), (125, "0.02", 2), (100_000, "0.02", 2_000)]
)
def test_worth_is_rounded_half_to_even(amount: int, price: str, cents: int) -> None:
    """Half a cent goes to the even one."""
    message = DealerTransaction(
        id="b",
        created_at=0,
        direction="RECEIVE",
        settlement_currency="BTC",
        settlement_amount=amount,
        cents_per_unit=Decimal(price),
    )
    assert cents == leg_from(message).cents


@pytest.mark.parametrize(
    ("currency", "direction", "buys"),
    [("BTC", "RECEIVE", True), ("USD", "SEND", True), ("BTC", "SEND", False), ("USD", "RECEIVE", False)],
)
def test_what_the_dealer_gives_the_user_buys(currency: str, direction: str, buys: bool) -> None:
    """The user buys dollars when bitcoin comes in or dollars go out."""
    assert buys == user_buys_usd(Leg("x", 0, "SUCCESS", direction, currency, 1, "m", None, 1))


@given(LEGS, LEGS)
def test_legs_with_different_keys_never_pair(one: Leg, other: Leg) -> None:
    """The reference rule, written out, pairs no two legs with different keys."""
    memos = [leg.memo for leg in (one, other)]
    journal = any(memo is not None and memo.startswith("JournalId:") for memo in memos)
    fits = (
        one.created_at_ms // 1000 == other.created_at_ms // 1000
        and one.currency != other.currency
        and one.direction != other.direction
        and one.method == other.method
        and (one.memo == other.memo if journal else abs(one.cents - other.cents) <= 1)
    )
    assert fits == bool(match_first([one, other]))
    assert not fits or pairing_key(one) == pairing_key(other)


@given(LEGS, LEGS)
def test_key_is_the_finest(one: Leg, other: Leg) -> None:
    """Legs with one key, made of opposite currencies and of equal worth, do pair."""
    if pairing_key(one) == pairing_key(other) and one.currency != other.currency:
        assert match_first([one._replace(cents=1), other._replace(cents=1)])


@given(ANY_LEGS)
def test_a_leg_is_written_as_canonical_json(leg: Leg) -> None:
    """The text of a leg is what metadata says of its fields, whatever texts and numbers it has."""
    assert meta_text(leg._asdict()) == canonical(to_json(leg))


@given(_legs(st.text()), LEGS)
def test_metadata_gives_the_legs_back(one: Leg, other: Leg) -> None:
    """Two legs survive the way through metadata, whatever else it says; where there is one alone there are none."""
    assert (one, other) == legs_from_json(f'{{"btc_leg":{to_json(one)},"generation":0,"usd_leg":{to_json(other)}}}')
    assert None is legs_from_json(f'{{"btc_leg":{to_json(one)},"reason":"why"}}') is legs_from_json("{}")


def test_a_difference_names_every_field_with_both_values() -> None:
    """It is a sentence for people: what was said first, what is said now, and nothing of what is the same."""
    first = leg_from(words_leg("b1"))
    other = first._replace(created_at_ms=first.created_at_ms + 1_000, memo="tea", cents=7)
    assert (
        f"the leg was first told with created_at_ms {first.created_at_ms}, now {other.created_at_ms}; "
        'memo nothing, now "tea"; cents 2000, now 7; the first word stands'
    ) == difference(first, other)
