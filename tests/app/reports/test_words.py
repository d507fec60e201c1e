"""The status in words: units, times and ages for people."""

from typing import Any

import pytest

from app.reports.words import span, text_of
from tests.app.reports.test_metrics import STATUS

NOW_MS = 1_700_000_000_000
WRITER = {"shard": 0, "pid": 7, "host": "h", "since": NOW_MS - 60_000, "silent_ms": 400, "is_alive": True}
SILENT = {"is_alive": False, "silent_ms": 94_000, "behind_ms": 95_000}
TOLD: dict[str, Any] = STATUS | {
    "as_of": NOW_MS,
    "writers": [WRITER, WRITER | {"shard": 1, "silent_ms": None, "is_alive": False}],
    "flows": {
        "liability": {"is_alive": True, "silent_ms": 20, "behind_ms": 1_040},
        "hedging": SILENT,
        "execution": {"is_alive": False, "silent_ms": None, "behind_ms": None},
    },
    "facts": [
        {"fact": "price", "of": "BTC-USD-SWAP", "age_ms": 250},
        {"fact": "position", "of": "north", "age_ms": 300_000},
    ],
    "alerts": [{"as_of": NOW_MS, "severity": "critical", "subject": "s", "text": "somebody has to look"}],
    "last_decisions": {"hedge": {"action": "hold", "rule": "stale_price", "reason": "the price is old", "as_of": NOW_MS}},
    "liability_cents": 123_456_789,
    "exposure_cents": -50_000,
    "collateral_sats": 150_000_000,
    "price_usd": "41000.5",
    "books_less_exchange": {"exposure_cents": -10, "funding_sats": 1},
}
EXPECTED = """\
as of             2023-11-14 22:13:20 UTC
writer            shard 0: process 7 on h since 2023-11-14 22:12:20 UTC, heard 0.4 s ago
                  shard 1: process 7 on h since 2023-11-14 22:12:20 UTC, never heard; does not write any more
flow              liability runs, 1.0 s behind
                  hedging does not run: silent for 94.0 s
                  execution was never heard of
archive           has everything until 7.0 s ago
age of facts      price of BTC-USD-SWAP 0.2 s, position of north 5 min
alert             2023-11-14 22:13:20  critical: somebody has to look
price             41,000.50 USD per bitcoin
we owe users      1,234,567.89 USD   from 7 trades
exchange holds    -500.00 USD   short is negative
hedge ratio       0.9812
collateral        1.50000000 BTC trading, 0.00000007 BTC funding
leverage          -
last hedge        2023-11-14 22:13:20  hold: the price is old
orders            3 filled, 1 open
transfers         none
waiting legs      2, worth 5.00 USD, oldest 61.0 s
quarantine        4 dealer.transactions
buffer            system_buffer_fiat CRITICAL_LOW: 0.04 USD between 0.06 USD and 0.08 USD
conversions       2 pending, 40 completed; 1 stale; the treasury is active
symbol            BTC_USDT open: 90 settled, up to 93 at 2023-11-14 22:13:20; 4 refused, 1 behind
                  ETH_USDT halted: 0 settled, nothing yet; 0 refused
trades refused    4 unknown symbol
trading           12 orders are open, 3 trades wait
books - exchange  -0.10 USD of exposure, 0.00000001 BTC of funding
statements        2 high breaks, oldest 24 h
ledger            7 transactions, 7 rejected (7 not booked since), 7 in conflict"""


def test_a_status_is_read_by_people() -> None:
    """Units and words, a time for what was so at a time, and a name for each line or lines."""
    assert EXPECTED == text_of(TOLD)


def test_what_is_not_there_is_said() -> None:
    """Nobody writes, no fact came, nothing is alarming: a line each."""
    text = text_of(TOLD | {"writers": [], "facts": [], "alerts": [], "price_usd": None})
    for line in (
        "writer            none yet",
        "no price, position or balance yet",
        "alert             none",
        "price             -",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0.0 s"), (119_999, "120.0 s"), (120_000, "2 min"), (7_200_000, "2 h"), (172_800_000, "2 d"), (10**12, "11574 d")],
)
def test_a_span_has_the_unit_that_fits(ms: int, words: str) -> None:
    """The largest of which there are two."""
    assert words == span(ms)
