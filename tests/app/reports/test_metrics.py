"""Metrics are the numbers of a status, one for one."""

from typing import Any

from app.metrics import FAMILIES, NUMBERS, WAITING, metrics

STATUS: dict[str, Any] = {
    **dict.fromkeys(NUMBERS, 7),
    "hedge_ratio": "0.9812",
    "leverage": None,
    "waiting_legs": {"count": 2, "worth_cents": 500, "oldest_seconds": 61},
    "orders": {"filled": 3, "open": 1},
    "transfers": {},
    "quarantined": {"dealer.transactions": 4},
    "messages": {"market.ticks": 9},
}


def samples() -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and the values of its labels."""
    return {(s.name, tuple(s.labels.values())): s.value for family in metrics(STATUS) for s in family.samples}


def test_every_number_is_a_metric() -> None:
    """Numbers, ratios as decimal text among them, come out under their own names."""
    assert 0.9812 == samples()[("ballast_hedge_ratio", ())]
    assert 7 == samples()[("ballast_liability_cents", ())]


def test_what_is_not_known_is_left_out() -> None:
    """A ratio without anything to compare with is no metric, and not zero."""
    assert ("ballast_leverage", ()) not in samples()


def test_waiting_legs_have_count_worth_and_age() -> None:
    """Unpaired legs show by number, by worth and by the age of the oldest."""
    assert {name: samples()[(f"ballast_waiting_legs_{name}", ())] for name in WAITING} == STATUS["waiting_legs"]


def test_counts_are_labelled() -> None:
    """Orders by state, messages and quarantined ones by topic."""
    labelled = {key: value for key, value in samples().items() if key[1]}
    assert {
        ("ballast_orders", ("filled",)): 3,
        ("ballast_orders", ("open",)): 1,
        ("ballast_quarantined", ("dealer.transactions",)): 4,
        ("ballast_messages", ("market.ticks",)): 9,
    } == labelled
    assert set(FAMILIES) <= STATUS.keys()
