"""The picture of a running demo: its bands are those of the policy."""

from decimal import Decimal
from typing import Any

import pytest

from app.demo.view import gauge, picture
from domain.hedging.policy import Policy
from domain.hedging.reference_funding import FundingPolicy
from domain.hedging.reference_hedge import HedgePolicy
from tests.app.reports.test_metrics import STATUS

LIMITS = Policy(
    hedge=HedgePolicy(low_bound_ratio_shorting=Decimal("0.9"), high_bound_ratio_shorting=Decimal("1.1")),
    funding=FundingPolicy(low_bound_ratio_leverage=Decimal("1.5"), high_bound_ratio_leverage=Decimal("4.5")),
)


def test_the_bands_are_those_of_the_policy() -> None:
    """Whatever the settings say, the ratio and the leverage are drawn within it."""
    told = {"last_decisions": {}, "price_usd": "40000", "leverage": "4.6"}
    table = picture(STATUS | told, LIMITS)
    rows = dict(zip(*(column._cells for column in table.columns), strict=True))
    assert "band 0.9 to 1.1" in str(rows["hedge ratio"])
    assert ("green", "red") == (rows["hedge ratio"].style, rows["leverage"].style)
    assert "band 1.5 to 4.5" in str(rows["leverage"])


@pytest.mark.parametrize(
    ("value", "style"), [("0.89", "red"), ("0.9", "green"), ("1.1", "green"), ("1.11", "red"), ("99", "red")]
)
def test_a_gauge_is_green_within_its_band(value: str, style: str) -> None:
    """Its bounds belong to it; a value beyond the end of the bar stands at its end."""
    drawn = gauge(value, Decimal("0.9"), Decimal("1.1"))
    assert style == drawn.style
    assert 1 == str(drawn).count("█")


def test_what_is_not_known_has_no_bar() -> None:
    """Without anything to compare with there is nothing to draw."""
    assert "-" == str(gauge(None, Decimal(1), Decimal(2)))


def test_buffers_are_drawn_between_their_thresholds() -> None:
    """Each with its level and in the colour of its status; and nothing of them where none is kept."""
    row = {"buffer": "system_buffer_usdc", "currency": "USDC", "status": "CRITICAL_LOW", "min": 10, "target": 50, "max": 100}
    own = {
        "buffers": [row | {"available": 8_000_000, "position": 8}],
        "jobs": {"completed": 3},
        "providers": [{"provider": "due", "successes": 3, "failures": 1, "is_healthy": False}],
    }
    told = {"last_decisions": {}, "price_usd": "40000"}
    table = picture(STATUS | told | {"treasury": STATUS["treasury"] | own}, LIMITS)
    rows = dict(zip(*(column._cells for column in table.columns), strict=True))
    assert "8.00 USDC" in str(rows["buffer_usdc"])
    assert "red" == rows["buffer_usdc"].style
    assert ("3 completed", "due 3 of 4 !") == (str(rows["conversions"]), str(rows["providers"]))
    nothing = {"treasury": STATUS["treasury"] | {"buffers": []}}
    assert "providers" not in [str(cell) for cell in picture(STATUS | told | nothing, LIMITS).columns[0]._cells]


def test_symbols_are_told_as_far_as_they_have_settled() -> None:
    """Each with its trades in the colour of its status, and why words were refused; nothing where nothing is settled."""
    symbol = {"symbol": "BTC_USDT", "status": "halted", "last_sequence": 1234, "settled": 1230, "refused": 4}
    told = {"last_decisions": {}, "price_usd": "40000"}
    own = {"settlement": {"symbols": [symbol], "refused": {"insufficient": 3}}}
    rows = dict(zip(*(column._cells for column in picture(STATUS | told | own, LIMITS).columns), strict=True))
    assert "1,230 settled up to trade 1,234, 4 refused" == str(rows["BTC_USDT"])
    assert ("red", "3 insufficient") == (rows["BTC_USDT"].style, str(rows["refused words"]))
    nothing: dict[str, Any] = {"settlement": {"symbols": [], "refused": {}}}
    assert "refused words" not in [str(cell) for cell in picture(STATUS | told | nothing, LIMITS).columns[0]._cells]
