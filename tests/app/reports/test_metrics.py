"""Metrics are the numbers of a status, one for one."""

import socket
from typing import Any

import pytest

from app.places.places import Places
from app.reports.metrics import (
    BUFFER,
    FAMILIES,
    NUMBERS,
    PROVIDER,
    SETTLEMENT,
    STATUSES,
    STEPS,
    SYMBOL,
    WAITING,
    metrics,
    served,
)
from connectors.kafka.source import KafkaSettings
from domain.errors import ConfigError

STATUS: dict[str, Any] = {
    **dict.fromkeys(NUMBERS, 7),
    "hedge_ratio": "0.9812",
    "leverage": None,
    "waiting_legs": {"count": 2, "worth_cents": 500, "oldest_seconds": 61},
    "orders": {"filled": 3, "open": 1},
    "transfers": {},
    "quarantined": {"dealer.transactions": 4},
    "messages": {"market.ticks": 9},
    "holds": {"stale_price": 6},
    "facts": [{"fact": "position", "of": "north", "age_ms": 450}],
    "books_less_exchange": {"exposure_cents": -20_000},
    "breaks": {"high": 2},
    "breaks_oldest_seconds": {"high": 86_400},
    "alerts_hour": {"unknown_job": 1},
    "treasury": {
        "control": "active",
        "buffers": [
            {
                "buffer": "system_buffer_fiat",
                "currency": "USD",
                "status": "CRITICAL_LOW",
                **dict(zip(BUFFER, (1, 2, 3, 4, 5, 6, 7, 8), strict=True)),
            }
        ],
        "jobs": {"pending": 2, "completed": 40},
        "stale_jobs": 1,
        "day": {"completed": 19, "failed": 1, "average_seconds": 180},
        "providers": [{"provider": "due", "status": "degraded", **dict.fromkeys(PROVIDER, 9)}],
    },
    "settlement": {
        "symbols": [
            {
                "symbol": "BTC_USDT",
                "status": "open",
                "last_settled_at": 1_700_000_000_000,
                **dict(zip(SYMBOL, (90, 4, 93, 1), strict=True)),
            },
            {
                "symbol": "ETH_USDT",
                "status": "halted",
                "last_settled_at": None,
                **dict.fromkeys(SYMBOL, 0),
                "last_sequence": None,
            },
        ],
        "refused": {"unknown_symbol": 4},
        "not_booked": {"rejected": 2},
        "open_orders": 12,
        "trades_waiting": 3,
    },
    "steps": {"pair": {"behind_ms": 40, "silent_ms": 900, "late": 2, "held": 17}},
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
    """Orders by state, messages and quarantined ones by topic, ages by what is told and of whom, differences by what of."""
    of_buffers = ("system_buffer_fiat", "due", "BTC_USDT", "ETH_USDT")
    labelled = {
        key: value for key, value in samples().items() if key[1] and key[1] != ("pair",) and key[1][0] not in of_buffers
    }
    assert {
        ("ballast_orders", ("filled",)): 3,
        ("ballast_orders", ("open",)): 1,
        ("ballast_quarantined", ("dealer.transactions",)): 4,
        ("ballast_messages", ("market.ticks",)): 9,
        ("ballast_holds", ("stale_price",)): 6,
        ("ballast_fact_age_ms", ("position", "north")): 450,
        ("ballast_books_less_exchange", ("exposure_cents",)): -20_000,
        ("ballast_breaks", ("high",)): 2,
        ("ballast_breaks_oldest_seconds", ("high",)): 86_400,
        ("ballast_alerts_hour", ("unknown_job",)): 1,
        ("ballast_trades_refused", ("unknown_symbol",)): 4,
        ("ballast_settlement_not_booked", ("rejected",)): 2,
        ("ballast_jobs", ("pending",)): 2,
        ("ballast_jobs", ("completed",)): 40,
        ("ballast_conversions_day", ("completed",)): 19,
        ("ballast_conversions_day", ("failed",)): 1,
    } == labelled
    assert set(FAMILIES) <= STATUS.keys()


def test_buffers_and_providers_are_labelled_by_their_names() -> None:
    """Every amount of a buffer, one status of four, and how a provider does; a number of jobs, and how long they take."""
    told, buffer = samples(), "system_buffer_fiat"
    assert {name: told[("ballast_buffer", (buffer, name))] for name in BUFFER} == dict(zip(BUFFER, range(1, 9), strict=True))
    assert [1, 0, 0, 0] == [told[("ballast_buffer_status", (buffer, status))] for status in STATUSES]
    assert {1, 9} == {told[(f"ballast_provider_{name}", ("due",))] for name in (*PROVIDER, "is_degraded")}
    assert (1, 180) == (told[("ballast_stale_jobs", ())], told[("ballast_conversion_seconds", ())])


def test_symbols_are_labelled_by_their_names() -> None:
    """How far each has come and what was refused; one that has settled nothing stands at zero. What waits is of all of them."""
    told = samples()
    assert [90, 4, 93, 1] == [told[(f"ballast_symbol_{name}", ("BTC_USDT",))] for name in SYMBOL]
    assert [0, 0, 0, 0] == [told[(f"ballast_symbol_{name}", ("ETH_USDT",))] for name in SYMBOL]
    assert [12, 3] == [told[(f"ballast_{name}", ())] for name in SETTLEMENT]


def test_what_steps_say_is_labelled_by_step() -> None:
    """How far a step is behind, how long it has been silent, and how many records are late or held."""
    assert {name: samples()[(f"ballast_{name}", ("pair",))] for name in STEPS} == STATUS["steps"]["pair"]


def test_a_port_that_somebody_has_is_one_sentence() -> None:
    """Whoever starts a worker is told which setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        places = Places("nowhere", KafkaSettings("nowhere:1"), False)
        refused = pytest.raises(ConfigError, match=f"run.metrics_port {port} of 127.0.0.1 cannot be used")
        with refused, served(places, "127.0.0.1", port):
            raise AssertionError
