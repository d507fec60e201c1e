"""The mirror: books and exchange may differ for as long as a fill is on its way, and no longer without a word."""

import pickle
from typing import Any

import pytest

from domain.hedging.desks import Desks
from domain.hedging.mirror import Mirror
from domain.hedging.policy import Book, Policy
from domain.messages.ledger import LedgerBalance
from domain.messages.ops import Alert
from domain.venue.fills import UNEXPLAINED_MS
from tests.words import VENUE, correction, liability, position, record

Said = tuple[int, Any]
SWAP = "BTC-USD-SWAP"


def mirrored(exposure_cents: int, version: int = 1, venue: str = VENUE) -> LedgerBalance:
    """What the books have of the position at a venue."""
    return liability(-exposure_cents, version).model_copy(update={"account": f"POSITION/{venue}"})


def alerts(said: list[Said], until_ms: int = 60_000, restored: bool = False) -> list[tuple[int, Alert]]:
    """What a mirror tells that hears these, and then nothing; also when it is saved after every instant."""
    mirror, told = Mirror(VENUE, SWAP), list[tuple[int, Alert]]()
    for at_ms, word in [*said, (until_ms, None)]:
        while (due_ms := mirror.wake_at_ms()) is not None and due_ms <= at_ms:
            told += [(due_ms, alert) for alert in mirror.wake(due_ms)]
        mirror.apply(at_ms, [record(word, at_ms)])
        mirror = Mirror(VENUE, SWAP, pickle.loads(pickle.dumps(mirror.snapshot()))) if restored else mirror  # noqa: S301
    return told


HELD = (0, position(-50_000))
TABLE: list[tuple[str, list[Said], list[int]]] = [
    ("they agree", [HELD, (1, mirrored(-50_000))], []),
    ("nothing was ever held", [(0, position(0))], []),
    ("nothing was ever said of a position", [(0, mirrored(-50_000))], []),
    ("a fill is on its way", [HELD, (9_999, mirrored(-50_000))], []),
    ("a position is on its way", [(0, position(0)), (1, mirrored(-50_000)), (9_000, position(-50_000, 2))], []),
    ("a position without any fill", [HELD], [10_000]),
    ("it is told once while it lasts", [HELD, (20_000, position(-50_000)), (40_000, position(-50_000))], [10_000]),
    ("also when the difference changes", [HELD, (20_000, position(-60_000)), (40_000, mirrored(-10_000))], [10_000]),
    ("it comes late", [(0, position(0)), (3_000, position(-50_000))], [13_000]),
    ("it comes back", [HELD, (12_000, position(0)), (15_000, position(-50_000))], [10_000, 25_000]),
    ("a person takes a fill back", [(0, position(0)), (1, mirrored(-50_000)), (20_000, mirrored(0, 2))], [10_001]),
    ("an older balance comes late", [(0, mirrored(-50_000, 2)), HELD, (1, mirrored(0, 1))], []),
    (
        "a position with an older number",
        [(0, position(-60_000, 999)), (1, mirrored(-50_000)), (2, position(-50_000, 2))],
        [],
    ),
    ("a balance far ahead", [HELD, (1, mirrored(0, 999)), (2, mirrored(-50_000, 2))], [10_000]),
    (
        "a balance far ahead that was corrected",
        [
            HELD,
            (1, mirrored(0, 999)),
            (2, correction("ledger.balances", f"POSITION/{VENUE}/USD")),
            (3, mirrored(-50_000, 2)),
        ],
        [],
    ),
    ("another venue", [(0, position(-50_000, venue="x")), (1, mirrored(-10_000, venue="x"))], []),
    ("another instrument", [(0, position(-50_000).model_copy(update={"instrument": "ETH-USD-SWAP"}))], []),
    ("another account", [HELD, (1, mirrored(-50_000)), (2, liability(7, 9))], []),
]


@pytest.mark.parametrize("restored", [False, True], ids=["in one go", "restored every time"])
@pytest.mark.parametrize(("said", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_difference_that_lasts_is_told_once(said: list[Said], expected: list[int], restored: bool) -> None:
    """Told ten seconds after it began, not again while it lasts, and again when it comes back."""
    told = alerts(said, restored=restored)
    assert expected == [at_ms for at_ms, _ in told]
    assert len({alert.id for _, alert in told}) == min(1, len(expected))


def test_the_alert_names_both_numbers() -> None:
    """A person can compare them with the exchange's own page."""
    ((_, alert),) = alerts([HELD, (1, mirrored(-20_000))])
    assert ("critical", "position_not_of_fills") == (alert.severity, alert.subject)
    for named in (VENUE, "-50000 cents", "come to -20000", f"POSITION_SUSPENSE/{VENUE}"):
        assert named in alert.text


def test_desks_tell_of_their_venues_and_decide_as_before() -> None:
    """All desks together wake for it, go on from a snapshot, and take no decision more."""
    desks = Desks([Book("main", VENUE, Policy()), Book("other", "x", Policy())])
    before = [*desks.apply(0, [record(position(-50_000, venue="x"), 0)])]
    desks = Desks([Book("main", VENUE, Policy()), Book("other", "x", Policy())], desks.snapshot())
    assert UNEXPLAINED_MS == desks.wake_at_ms()
    (alert,) = desks.wake(UNEXPLAINED_MS)
    assert isinstance(alert, Alert)
    assert ("position_not_of_fills", True) == (alert.subject, alert.text.startswith("x says"))
    assert before
    assert [] == [*desks.apply(UNEXPLAINED_MS + 1, [record(mirrored(-50_000, venue="x"))])]
