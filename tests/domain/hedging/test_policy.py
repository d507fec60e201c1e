"""The guarded policy: facts that know what they cover, and settings that cannot make it flap."""

from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.reference_funding import FundingPolicy
from domain.hedging.reference_hedge import HedgePolicy

FACTS = VenueFacts(now_ms=0, liability_cents=0, exposure_cents=0, collateral_sats=0, funding_sats=0, price_cents=Decimal(1))


@pytest.mark.parametrize(
    ("changes", "position", "balance"),
    [
        ({}, True, True),
        ({"order_in_flight": True}, False, True),
        ({"transfer_in_flight": True}, True, False),
        ({"last_order_sequence": 7, "position_sequence": 6}, False, True),
        ({"last_order_sequence": 7, "position_sequence": 7}, True, True),
        ({"last_transfer_sequence": 7, "balance_sequence": 6}, True, False),
        ({"last_transfer_sequence": 7, "balance_sequence": 7}, True, True),
    ],
)
def test_facts_know_what_they_cover(changes: dict[str, int], position: bool, balance: bool) -> None:
    """A position covers orders up to its sequence, a balance transfers, and neither what is in flight."""
    facts = replace(FACTS, **changes)
    assert (position, balance) == (facts.is_position_current, facts.is_balance_current)


@pytest.mark.parametrize(
    "settings",
    [
        {"hedge": HedgePolicy(low_safebound_ratio_shorting="1.01")},
        {"hedge": HedgePolicy(high_safebound_ratio_shorting="1.04")},
        {"funding": FundingPolicy(low_safebound_ratio_leverage="1.9")},
        {"funding": FundingPolicy(high_safebound_ratio_leverage="3.7")},
        {"funding": FundingPolicy(high_bound_buffer_percentage="1.1")},
        {"order_contracts_max": 0},
    ],
)
def test_settings_that_would_flap_are_refused(settings: dict[str, object]) -> None:
    """A target outside its band, or an order of no size, is refused when the policy is made."""
    with pytest.raises(ValidationError):
        Policy(**settings)
