"""`ballast settlement`: what is booked and refused is shown, and what people say goes to its topic when it can be done."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.places.places import prepare
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.messages.settlement import CustomerCorrection, MatchedTrade
from domain.topics import GOV_APPROVALS, SETTLEMENT_CORRECTIONS, SETTLEMENT_REPLAYS
from tests.app.conftest import Ballast
from tests.app.surroundings import assert_one_sentence, open_database, unused_name
from tests.sinks.settled import FIX, FORGED, UNKNOWN, WORDS, instrument, settle, tell_settlement

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

Settings = dict[str, str]
SAID = ("--by", "anna", "--reason", "because")
LATE = instrument("ABC_USDT")


@pytest.fixture(scope="module")
def settings(broker: str, server: str) -> Iterator[Settings]:
    """Books of a settlement with troubles, in which one asset has other decimals by another instrument."""
    with open_database(server) as dsn:
        prepare(dsn, KafkaSettings(broker))
        tell_settlement(
            dsn, [*WORDS, LATE, LATE.model_copy(update={"symbol": "ABC_BTC", "quote": "BTC", "base_decimals": 3})]
        )
        yield {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": dsn}


def said_by(settings: Settings, topic: str, by: str) -> list[dict[str, Any]]:
    """The fields of all messages that somebody put on a topic."""
    with closing(Peek(KafkaSettings(settings["BALLAST_KAFKA__BOOTSTRAP"]))) as peek:
        said = [json.loads(one.value) for _, one in peek.everything(topic)]
    return [one for one in said if one["by"] == by]


def test_a_status_says_what_to_look_at(ballast: Ballast, settings: Settings) -> None:
    """For people by symbols, assets and sentences; for programs as one object."""
    text = ballast("settlement", "status", settings=settings).out
    for words in ("BTC_USDT", "wrong_hash", "trade_missing: trade", "pair_changed: ", "ballast settlement quarantine"):
        assert words in text
    told = ballast("settlement", "status", "--json", settings=settings).json()
    assert ([], False) == (told["unbalanced"], told["is_running"])
    assert {"ABC_BTC", "ABC_USDT", "BTC_USDT", "ETH_USDT"} == {row["symbol"] for row in told["symbols"]}


def test_trades_are_read_page_by_page(ballast: Ballast, settings: Settings, tmp_path: Path) -> None:
    """The end of a page leads to the next one, and a file has all of them."""
    typed = ("settlement", "trades", "--symbol", "BTC_USDT", "--from-sequence", "1", "--limit", "2")
    first = ballast(*typed, "--json", settings=settings).json()
    second = ballast(*typed, "--after", first["next"], "--json", settings=settings).json()
    sequences = [row["sequence"] for page in (first, second) for row in page["trades"]]
    assert (4, sequences) == (len(sequences), sorted(set(sequences)))
    text = ballast(*typed, settings=settings).out
    assert f"more: --after {first['next']}" in text
    written = ballast("settlement", "trades", "--csv", str(tmp_path / "t.csv"), "--json", settings=settings).json()
    assert written["trades"] + 1 == len((tmp_path / "t.csv").read_text().splitlines())
    lost = ballast("settlement", "trades", "--sequence", "1", settings=settings)
    assert_one_sentence(lost, "say of which one: --symbol SYMBOL")
    before = ballast("settlement", "trades", "--until", "1999-01-01", "--json", settings=settings).json()
    assert {"trades": [], "next": None} == before


def test_balances_and_their_events(ballast: Ballast, settings: Settings) -> None:
    """All assets at once, and one of them entry by entry."""
    (row,) = ballast("settlement", "balance", "poor", "--json", settings=settings).json()["balances"]
    assert ("USDT", 0, 0, 30) == (row["asset"], row["available"], row["locked"], row["debt"])
    typed = ("settlement", "balance", "poor", "--asset", "USDT", "--events")
    events = ballast(*typed, "--json", settings=settings).json()["events"]
    assert [("debt", 30, 30), ("available", -70, 0), ("available", 70, 70)] == [
        (one["account"], one["change"], one["balance_after"]) for one in events
    ]
    assert "CUSTOMER_DEBIT" in ballast(*typed, settings=settings).out
    assert_one_sentence(ballast("settlement", "balance", "poor", "--events", settings=settings), "--asset ASSET --events")
    assert_one_sentence(ballast("settlement", "balance", "nobody", settings=settings), "customer nobody", code=1)


def test_what_was_refused_says_what_to_do(ballast: Ballast, settings: Settings, tmp_path: Path) -> None:
    """By reason and kind, and trades that are not settled as a file."""
    typed = ("settlement", "quarantine", "--kind", "trade", "--reason", "unknown_symbol")
    text = ballast(*typed, settings=settings).out
    assert UNKNOWN.trade_id in text
    assert "tell of the symbol on settlement.instruments" in text
    file = tmp_path / "failed_trades.json"
    told = ballast("settlement", "quarantine", "--json-file", str(file), "--json", settings=settings).json()
    assert told["trades"] == len(json.loads(file.read_text()))


def test_a_refused_trade_is_told_again(ballast: Ballast, settings: Settings) -> None:
    """As it was told, with who says so and why; alone, or with all that were refused for its reason."""
    for which in ((UNKNOWN.trade_id,), ("--reason-was", "unknown_symbol")):
        by = unused_name("p")
        told = ballast(
            "settlement", "replay", *which, "--by", by, "--reason", "told now", "--json", settings=settings
        ).json()
        assert [UNKNOWN.trade_id] == told["trades"]
        (fields,) = said_by(settings, SETTLEMENT_REPLAYS.name, by)
        assert (UNKNOWN, "told now") == (MatchedTrade.model_validate(fields["trade"]), fields["reason"])


NOT_REPLAYED = [
    (("nothing",), "there is no trade nothing in quarantine"),
    ((FORGED.trade_id,), "never had its turn"),
    (("--reason-was", "wrong_hash"), "cannot be settled"),
    (("--reason-was", "broken_link"), "cannot be settled"),
    (("--reason-was", "sequence_taken"), "cannot be settled"),
    (("--reason-was", "off_tick"), "no trade is in quarantine as off_tick"),
    ((), "say which trade"),
    (("x", "--reason-was", "y"), "say which trade"),
]


@pytest.mark.parametrize(("which", "words"), NOT_REPLAYED)
def test_what_cannot_be_settled_is_not_told_again(
    ballast: Ballast, settings: Settings, which: tuple[str, ...], words: str
) -> None:
    """One sentence says why, and nothing is on the topic."""
    by = unused_name("p")
    assert_one_sentence(ballast("settlement", "replay", *which, "--by", by, "--reason", "r", settings=settings), words)
    assert [] == said_by(settings, SETTLEMENT_REPLAYS.name, by)


def test_a_settled_trade_is_not_told_again(ballast: Ballast, settings: Settings) -> None:
    """Its id is booked."""
    (row,) = ballast("settlement", "trades", "--limit", "1", "--json", settings=settings).json()["trades"]
    assert_one_sentence(ballast("settlement", "replay", row["trade_id"], *SAID, settings=settings), "is settled already")


def test_a_correction_is_for_two(ballast: Ballast, settings: Settings) -> None:
    """Asked for in whole units, exact; whoever asked may not vote on it, and somebody else may."""
    by, name, typed = unused_name("p"), unused_name("fix"), ("settlement", "correct", "u1")
    told = ballast(*typed, "USDT", "-1.5", "--id", name, "--by", by, "--reason", "r", "--json", settings=settings).json()
    (fields,) = said_by(settings, SETTLEMENT_CORRECTIONS.name, by)
    assert (name, -1_500_000, "u1", "USDT") == (told["id"], fields["amount"], fields["customer"], fields["asset"])
    own = ballast("settlement", "approve", name, "--by", by, "--reason", "r", settings=settings)
    assert_one_sentence(own, f"{by} has asked for the correction {name}, so somebody else has to vote")
    for vote in ("approve", "deny"):
        other = unused_name("q")
        assert not ballast("settlement", vote, name, "--by", other, "--reason", "seen", settings=settings).code
        (cast,) = said_by(settings, GOV_APPROVALS.name, other)
        assert (name, vote) == (cast["subject"], cast["vote"])
    nobody = ballast("settlement", "approve", unused_name("fix"), *SAID, settings=settings)
    assert_one_sentence(nobody, "nobody has asked for a correction")
    over = ballast("settlement", "approve", FIX.id, *SAID, settings=settings)
    assert_one_sentence(over, "the correction fix:1 was denied")


def test_a_correction_without_a_name_gets_one(ballast: Ballast, settings: Settings) -> None:
    """In smallest units where it is said so, which every asset has."""
    typed = ("settlement", "correct", "u1", "ABC", "7", "--smallest", "--by", unused_name("p"), "--reason", "r", "--json")
    first, second = (ballast(*typed, settings=settings).json() for _ in range(2))
    assert 7 == first["amount"] == second["amount"]
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    ("asset", "amount", "words"),
    [
        ("USDT", "1.0000001", "finer than USDT"),
        ("USDT", "1,000", "is none"),
        ("USDT", "0", "corrects nothing"),
        ("DOGE", "1", "no instrument says how many decimals DOGE has"),
        ("ABC", "1", "instruments differ on how many decimals ABC has"),
    ],
)
def test_a_correction_is_exact(ballast: Ballast, settings: Settings, asset: str, amount: str, words: str) -> None:
    """What cannot be an amount of the asset is not sent."""
    assert_one_sentence(ballast("settlement", "correct", "u1", asset, amount, *SAID, settings=settings), words)


def test_what_people_say_is_done(ballast: Ballast, settings: Settings, broker: str, server: str) -> None:
    """The flow settles what is told again by command once its symbol is known, and books what two people agree to."""
    with open_database(server) as dsn:
        own = settings | {"BALLAST_POSTGRES__DSN": dsn}
        prepare(dsn, KafkaSettings(broker))
        by, name = unused_name("p"), unused_name("fix")
        first = [one for one in WORDS if not isinstance(one, MatchedTrade)][:3]
        settle(dsn, first)
        ballast("settlement", "correct", "u9", "USDT", "2", "--id", name, "--by", by, "--reason", "r", settings=own)
        (asked,) = said_by(own, SETTLEMENT_CORRECTIONS.name, by)
        other = unused_name("q")
        ballast("settlement", "approve", name, "--by", other, "--reason", "r", settings=own)
        (cast,) = said_by(own, GOV_APPROVALS.name, other)
        words = [CustomerCorrection.model_validate(asked), GOV_APPROVALS.model.model_validate(cast)]
        settle(dsn, [*first, *words])
        (row,) = ballast("settlement", "balance", "u9", "--json", settings=own).json()["balances"]
        assert 2_000_000 == row["available"]
        again = ballast("settlement", "correct", "u9", "USDT", "2", "--id", name, *SAID, settings=own)
        assert_one_sentence(again, f"the correction {name} is booked already")
