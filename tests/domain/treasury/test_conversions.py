"""What is booked of conversions: once each, whatever order the words come in, and only where the amounts add up."""

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.treasury import ConversionRequest
from domain.streams.records import Record
from domain.treasury.conversions import (
    MEMORY_MS,
    UNKNOWN_MS,
    ConversionBook,
    ConversionDone,
    ConversionDoubted,
    difference,
    wrong_by,
)
from tests.treasury_words import event
from tests.words import START_MS

ASKED = ConversionRequest(
    decision_id="d",
    client_conversion_id="c",
    job_id="j",
    attempt=1,
    provider="due",
    source="system_buffer_fiat",
    destination="system_buffer_usdc",
    source_currency="USD",
    destination_currency="USDC",
    amount=4_000_000,
    as_of=START_MS,
)


def heard(words: list[tuple[int, Any]], *, restored: bool = False) -> list[Any]:
    """What a book says when it hears these words at their times, one instant after the other."""
    book, effects = ConversionBook(), list[Any]()
    for n, (at_ms, word) in enumerate(words):
        while (due_ms := book.wake_at_ms()) is not None and due_ms <= at_ms:
            effects += book.wake(due_ms)
        effects += book.apply(at_ms, [Record(at_ms, "x/0", n, word)])
        book = ConversionBook(book.snapshot()) if restored else book
    return effects


def names(effects: list[Any]) -> list[str]:
    """What was done, and what a person should look at."""
    return ["done" if isinstance(one, ConversionDone) else one.what for one in effects]


DONE, WORKS = event(ASKED, "completed", 9), event(ASKED, "processing", 5)
AGAIN, OTHER = event(ASKED, "completed", 9, via="webhook"), event(ASKED, "completed", 9, provider_tx_id="P2")
TABLE: list[tuple[str, list[Any], list[str]]] = [
    ("asked, then done", [ASKED, DONE], ["done"]),
    ("done, then asked", [DONE, ASKED], ["done"]),
    ("done three times, by poll and webhook", [ASKED, DONE, AGAIN, DONE], ["done"]),
    ("done, then at work", [ASKED, DONE, WORKS], ["done"]),
    ("two transactions under one id", [ASKED, DONE, OTHER], ["done", "done", "paid_twice"]),
    ("failed, then done after all", [ASKED, event(ASKED, "failed", 7), DONE], ["done"]),
    ("done, then failed", [ASKED, DONE, event(ASKED, "failed", 10)], ["done", "contradiction"]),
    (
        "done, then done by another amount",
        [ASKED, DONE, event(ASKED, "completed", 9, fee=7)],
        ["done", "contradiction"],
    ),
    ("a fee that adds up", [ASKED, event(ASKED, "completed", 9, fee=7)], ["done"]),
    ("a fee on top", [ASKED, event(ASKED, "completed", 9, fee_amount=7)], ["amount_mismatch"]),
    (
        "amounts that do not add up, then some that do",
        [ASKED, event(ASKED, "completed", 9, fee_amount=7), DONE],
        ["amount_mismatch", "done"],
    ),
    ("another provider's word", [ASKED, event(ASKED, "completed", 9, provider="x")], ["unknown_conversion"]),
    ("asked twice, as after a crash", [ASKED, ASKED, DONE], ["done"]),
]


@pytest.mark.parametrize(("words", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("restored", [False, True])
def test_a_conversion_is_booked_as_its_provider_did_it(words: list[Any], expected: list[str], *, restored: bool) -> None:
    """Whatever comes how often, in one instant or many; and a book that is saved in between says the same."""
    assert expected == names(heard([(START_MS + n, word) for n, word in enumerate(words)], restored=restored))


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_the_order_of_words_does_not_matter(order: tuple[int, ...]) -> None:
    """Of the request and its words in any order the same is booked."""
    words = [ASKED, WORKS, DONE, AGAIN]
    (done,) = heard([(START_MS + n, words[place]) for n, place in enumerate(order)])
    assert (ASKED, "P1", 4_000_000) == (done.request, done.heard.event.provider_tx_id, done.heard.event.source_amount)


def test_a_word_that_nobody_asked_for_is_told_of_and_kept() -> None:
    """After a minute, once; and booked all the same when its request turns up."""
    later = START_MS + UNKNOWN_MS
    words = [(START_MS, DONE), (later, WORKS), (later + 10, WORKS), (later + 20, ASKED)]
    assert ["unknown_conversion", "done"] == names(heard(words))


def test_requests_are_forgotten_after_a_season() -> None:
    """Who comes later than that is nobody any more, and a person is told."""
    later = START_MS + MEMORY_MS + 1
    assert ["unknown_conversion"] == names(heard([(START_MS, ASKED), (later, DONE), (later + UNKNOWN_MS, WORKS)]))


@pytest.mark.parametrize(
    ("amounts", "rate", "expected"),
    [
        ((4_000_000, 39_800_000_000, 200_000_000), "1", 0),
        ((4_000_000, 39_700_000_000, 200_000_000), "1", -100_000_000),
        ((4_000_001, 40_000_010_000, 0), "1", 10_000),
        ((4_000_000, 39_600_000_000, 0), "0.99", 0),
        ((4_000_000, 39_600_000_001, 0), "0.99", 1),
    ],
)
def test_amounts_add_up_at_the_provider_s_rate(amounts: tuple[int, int, int], rate: str, expected: int) -> None:
    """What arrived and what was kept is what was taken at the rate; taking another amount than was asked never adds up."""
    assert expected == difference((4_000_000, "USD", "USDC"), amounts, Decimal(rate))


@pytest.mark.parametrize(("given", "expected"), [(12, 0), (13, 0), (11, -1), (14, 2)])
def test_a_provider_may_round_its_last_unit_either_way(given: int, expected: int) -> None:
    """125,000 millionths are twelve and a half cents."""
    assert expected == difference((125_000, "USDC", "USD"), (125_000, given, 0), Decimal(1))


def test_a_rate_far_from_one_is_believed_by_people_alone() -> None:
    """A provider that says that a dollar is worth ninety cents adds up by its own rate, and is not booked."""
    said = event(ASKED, "completed", 9, rate=Decimal("0.9"), destination_amount=36_000_000_000)
    assert -4_000_000_000 == wrong_by(ASKED, said)
    near = event(ASKED, "completed", 9, rate=Decimal("0.995"), destination_amount=39_800_000_000)
    assert 0 == wrong_by(ASKED, near)


@given(st.integers(1, 10**12), st.integers(0, 10**6), st.integers(-(10**6), 10**6).filter(bool))
def test_any_other_amount_is_found(amount: int, fee: int, off: int) -> None:
    """Whatever is taken and kept, one unit too much or too little does not add up."""
    asked = ASKED.model_copy(update={"amount": amount})
    worth = amount * 10_000
    said = event(asked, "completed", 9, fee=min(fee, worth))
    assert 0 == wrong_by(asked, said)
    wrong = said.model_copy(update={"destination_amount": (said.destination_amount or 0) + off})
    assert off == wrong_by(asked, wrong)
    (doubted,) = heard([(START_MS, asked), (START_MS, wrong)])
    assert isinstance(doubted, ConversionDoubted)
