"""Who may have a row: replays always; others on facts that are fresh, in a slot that is free and whose last end they know."""

import pytest

from domain.messages.hedging import HedgeOrder
from domain.outbox.lifecycle import Request
from domain.outbox.slots import FREE, Refused, Reserved, Slot, judge
from tests.domain.outbox.test_lifecycle import REQUESTS

ORDER, TRANSFER, *_ = REQUESTS.values()
NOW_MS, AGE_MAX_MS = 20_900, 20_000
OTHER = HedgeOrder(
    decision_id="d", client_order_id="c", venue="sim", action="sell", contracts=-6, based_on_sequence=4, as_of=900
)
NEVER_AGAIN = Refused("c stands for another request")


@pytest.mark.parametrize(
    ("existing", "slot", "now_ms", "expected"),
    [
        (None, FREE, NOW_MS, Reserved("c", False)),
        (None, FREE, NOW_MS + 1, Refused("decided on facts 20 s old")),
        (None, FREE, 3_600_900, Refused("decided on facts 3600 s old")),
        (None, FREE, 0, Reserved("c", False)),
        (ORDER, FREE, NOW_MS, Reserved("c", True)),
        (ORDER, FREE, 3_600_000, Reserved("c", True)),
        (ORDER, Slot("c", "c", "b", 9), NOW_MS, Reserved("c", True)),
        (OTHER, FREE, NOW_MS, NEVER_AGAIN),
        (OTHER, FREE, 3_600_000, NEVER_AGAIN),
        (None, Slot("b", "b"), NOW_MS, Refused("slot taken by b")),
        (None, Slot(None, "b"), NOW_MS, Refused("decision d has asked for b already")),
        (None, Slot(None, None, "b", 4), NOW_MS, Reserved("c", False)),
        (None, Slot(None, None, "b", 5), NOW_MS, Refused("decided on a position that does not cover b")),
    ],
)
def test_judge(existing: Request | None, slot: Slot, now_ms: int, expected: Reserved | Refused) -> None:
    """The table of verdicts on an order that was decided at 900, case by case."""
    assert expected == judge(ORDER, existing, slot, now_ms, AGE_MAX_MS)


def test_a_transfer_is_judged_on_balances() -> None:
    """The reason names the fact that was too old."""
    said = judge(TRANSFER, None, Slot(None, None, "b", 5), NOW_MS, AGE_MAX_MS)
    assert Refused("decided on a balance that does not cover b") == said
