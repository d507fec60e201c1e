"""Orders and transfers as they are typed: what cannot be meant is no message, so it never reaches the outbox."""

import json

import pytest
from pydantic import ValidationError

from domain.messages.hedging import HedgeOrder


@pytest.mark.parametrize(
    ("action", "contracts", "is_meant"),
    [
        ("sell", -1, True),
        ("sell", 0, False),
        ("sell", 1, False),
        ("buy", 1, True),
        ("buy", 0, False),
        ("buy", -1, False),
        ("close", 0, True),
        ("close", -5, True),
        ("close", 5, True),
    ],
)
def test_an_order_has_the_sign_of_its_side(action: str, contracts: int, is_meant: bool) -> None:
    """A sale is negative, a purchase positive, and a close takes whatever position there is."""
    said = {"decision_id": "d", "client_order_id": "o", "venue": "sim", "based_on_sequence": 0, "as_of": 0}
    raw = json.dumps(said | {"action": action, "contracts": contracts})
    if is_meant:
        assert contracts == HedgeOrder.model_validate_json(raw).contracts
    else:
        with pytest.raises(ValidationError, match="a sale has less than zero contracts, a purchase more"):
            HedgeOrder.model_validate_json(raw)
