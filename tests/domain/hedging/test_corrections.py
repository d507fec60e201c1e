"""Corrections: a fact that nothing true could replace is forgotten, and the next word counts."""

from typing import Any

import pytest

from domain.hedging.desks import Desks
from domain.hedging.policy import Book, Policy
from domain.hedging.reference_funding import FundingPolicy
from domain.messages.decisions import Decision
from domain.messages.fields import Message
from domain.messages.ops import Alert
from tests.words import (
    START_MS,
    VENUE,
    correction,
    liability,
    order_report,
    pockets,
    position,
    record,
    tick,
    transfer_report,
)

FAR = 999_999_999
QUIET = FundingPolicy(minimum_transfer_amount_cents=10**12)
SWAP, OWED = "BTC-USD-SWAP", "STABLESATS_OMNIBUS/USD"


def told(desks: Desks, *words: Message, at_ms: int = START_MS) -> list[Any]:
    """What the desks say when they hear these, one millisecond after the other."""
    return [said for n, word in enumerate(words) for said in desks.apply(at_ms + n, [record(word, at_ms + n)])]


def last(*words: Message, rules: Any = "guarded") -> Decision:
    """The last hedge decision of a desk that has heard of everything once, and then these."""
    desks = Desks([Book("main", VENUE, Policy(rules=rules, funding=QUIET), record_all=True)])
    said = told(desks, liability(0), position(0), pockets(), tick(), *words)
    return [one for one in said if isinstance(one, Decision) and one.kind == "hedge"][-1]


def late(word: Message) -> Message:
    """A word with the time of the last second."""
    return word.model_copy(update={"as_of": START_MS + 4})


# By topic: its key, what poisons it, what is true, and where each shows in a decision.
POISONED: dict[str, tuple[str, Message, Message, str, Any, Any]] = {
    "venue.positions": (VENUE, position(-10_000, FAR), late(position(0, 2)), "position_sequence", FAR, 2),
    "venue.balances": (VENUE, pockets(funding_sats=1, sequence=FAR), late(pockets(funding_sats=7)), "funding_sats", 1, 7),
    "ledger.balances": (OWED, liability(1, FAR), late(liability(7, 2)), "liability_cents", 1, 7),
    "market.ticks": (SWAP, tick("9", START_MS + 4), tick("41000", START_MS + 3), "price_usd", "9", "41000"),
    "venue.orders": ("typed", order_report("typed", "open"), tick(), "order_in_flight", "typed", None),
    "venue.transfers": ("typed", transfer_report("typed", "pending"), tick(), "transfer_in_flight", "typed", None),
}


@pytest.mark.parametrize("topic", POISONED)
def test_after_a_correction_the_next_word_counts(topic: str) -> None:
    """Whatever its sequence, version or time; without one, what is true is older than what somebody typed, and stays out."""
    key, poison, true, name, wrong, right = POISONED[topic]
    rules = "reference" if topic == "venue.positions" else "guarded"  # the guarded desk doubts it as well
    assert wrong == last(poison, true, rules=rules).inputs[name]
    assert right == last(poison, correction(topic, key), true, rules=rules).inputs[name]


@pytest.mark.parametrize("topic", POISONED)
@pytest.mark.parametrize("key", ["elsewhere", VENUE, SWAP, OWED])
def test_a_correction_of_something_else_changes_nothing(topic: str, key: str) -> None:
    """Under another key of the same topic every fact is what it was."""
    own, poison, true, name, wrong, _ = POISONED[topic]
    if key != own:
        rules = "reference" if topic == "venue.positions" else "guarded"
        assert wrong == last(poison, correction(topic, key), true, rules=rules).inputs[name]


def test_until_the_next_word_the_desk_holds() -> None:
    """A fact that is forgotten is one that nobody has told yet."""
    decision = last(correction("venue.positions", VENUE))
    assert ("hold", "no_position") == (decision.action, decision.rule)


def test_what_ended_far_ahead_covers_the_hedge_no_more() -> None:
    """An order that is said to have ended at a sequence that no position will reach holds the desk for ever, but for this."""
    far = [order_report("typed", "filled", FAR), late(position(0, 2)), late(liability(1_000_000, 2))]
    assert "hold" == last(*far).action
    assert "sell" == last(*far, correction("venue.orders", "typed")).action


def test_a_correction_is_told() -> None:
    """As a warning that says what was forgotten, why and by whom, once per correction, whoever it concerns."""
    books = [Book("main", VENUE, Policy()), Book("other", "x", Policy())]
    said = told(Desks(books), correction("venue.positions", VENUE), correction("venue.positions", "nobody"))
    alerts = [one for one in said if isinstance(one, Alert) and one.subject == "corrected"]
    assert ["warning"] * 2 == [one.severity for one in alerts]
    for named in ("venue.positions", VENUE, "a slip", "by anna"):
        assert named in alerts[0].text


def test_a_position_that_was_believed_is_replaced_at_once() -> None:
    """A person who says that what was known is wrong need not wait until the true word has been said for ten seconds."""

    def decided(*between: Message) -> str:
        desks = Desks([Book("main", VENUE, Policy(funding=QUIET), record_all=True)])
        words = [position(-980_000, FAR), liability(1_000_000), pockets(), tick(), *between, late(position(0, 2))]
        return [one for one in told(desks, *words) if isinstance(one, Decision) and one.kind == "hedge"][-1].rule

    assert "position_unexplained" == decided()
    assert "below_low_bound" == decided(correction("venue.positions", VENUE))
