"""The promises of the settlement: they pass over what the flow left, and each finds a breach that was planted in a copy."""

# ruff: noqa: S608 - every word of the SQL below stands in this file

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from decimal import Decimal
from typing import Any, NamedTuple, cast

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.reports.settlement.promises import CHECKS, Chained, Evidence, chained
from connectors.kafka.peek import Peek
from connectors.recorded import Recorded
from domain.ledger.accounts import FIXED, SETTLEMENT_SHARD
from domain.messages.settlement import MatchedTrade, SettlementResult
from domain.settlement.links import linked
from domain.streams.records import RawMessage
from domain.topics import SETTLEMENT_RESULTS
from flows import ledger, settlement
from operators.ledger import at_once
from operators.streams.publish import encode
from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from sinks.postgres import connect
from sinks.settlement import PostgresBooks, PostgresRecords
from tests.app.surroundings import open_database
from tests.domain.settlement.played import crowd
from tests.flows.runs import run_built
from tests.flows.settlement_runs import flow_over, fresh, recorded

pytestmark = pytest.mark.postgres

CROWD = [*crowd(11, 200)]
TRADES = [*dict.fromkeys(word for word in CROWD if isinstance(word, MatchedTrade) and word.symbol == "BTC_USDT")]
LAST = TRADES[-1]
STRAY = linked(TRADES[0].model_copy(update={"price": Decimal(7), "trade_id": "stray"}))
WRONG = TRADES[1].model_copy(update={"price": Decimal(7)})
WAITS = linked(LAST.model_copy(update={"sequence": LAST.sequence + 2, "trade_id": "waits", "previous_hash": "f" * 32}))
WORDS = [*CROWD, LAST, STRAY, WRONG, WAITS]
"""A trade comes again, two do not belong to their chain, and one waits for one that nobody told."""

BTC_TRADE = "(SELECT tx_id FROM ledger.tx WHERE template = 'TRADE_SETTLED' ORDER BY tx_id LIMIT 1)"
LOCKED = "account_id IN (SELECT account_id FROM ledger.account WHERE code LIKE 'CUSTOMER\\_LOCKED/%')"
UNLOCKED = "tx_id = (SELECT tx_id FROM ledger.tx WHERE template = 'ORDER_UNLOCKED' LIMIT 1)"
COPY = (
    "INSERT INTO ledger.tx SELECT (jsonb_populate_record(t, jsonb_build_object('tx_id', gen_random_uuid(), 'meta', {}))).* "
    f"FROM ledger.tx t WHERE tx_id = {BTC_TRADE}"
)
SETTLED_TWICE = COPY.format("t.meta::JSONB")
OF_WAITING = json.dumps({"trade": WAITS.trade_id, "hash": WAITS.hash})
SETTLED_AS_IT_WAITS = COPY.format(f"t.meta::JSONB || '{OF_WAITING}'")
OF_SALES = """
SELECT t.tx_id FROM ledger.tx t JOIN ledger.entry e USING (tx_id)
WHERE t.template = 'ORDER_LOCKED' AND e.currency <> 'USDT'
    AND t.meta ->> 'name' NOT IN (SELECT meta ->> 'name' FROM ledger.tx WHERE template = 'ORDER_UNLOCKED')
    AND t.meta ->> 'name' {} (SELECT meta ->> 'sell_order' FROM ledger.tx WHERE template = 'TRADE_SETTLED')
"""
WHOLE, SOLD = OF_SALES.format("NOT IN"), OF_SALES.format("IN")
"""Orders to sell that have not ended: those of which nothing is sold, and those of which something or all is."""

PLANTED: Mapping[str, tuple[str, str, set[str]]] = {
    "revenue is off by one": (
        "UPDATE ledger.balance b SET settled_credit = settled_credit + 1 FROM ledger.account a "
        "WHERE a.account_id = b.account_id AND a.code = 'TRADING_REVENUE'",
        "customers and fees have",
        {"S1"},
    ),
    "both sides of a deposit are higher": (
        "UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = (SELECT tx_id FROM ledger.tx WHERE template = "
        "'CUSTOMER_DEPOSIT' LIMIT 1)",
        "is told as",
        {"S1"},
    ),
    "a refusal is gone": (
        "DELETE FROM settlement.refusal WHERE kind = 'trade' AND reason NOT IN ('sequence_taken', 'wrong_hash')",
        "is neither settled nor refused",
        {"S2"},
    ),
    "a stray is not refused": (
        "DELETE FROM settlement.refusal WHERE reason = 'sequence_taken'",
        "does not belong to its chain, and is not refused",
        {"S2"},
    ),
    "a settled trade is gone": (f"DELETE FROM ledger.tx WHERE tx_id = {BTC_TRADE}", "is neither settled", {"S2", "S4"}),
    "a trade is settled twice": (SETTLED_TWICE, "is settled 2 times", {"S2"}),
    "a trade is settled before its turn": (SETTLED_AS_IT_WAITS, "it was not its turn", {"S2"}),
    "a balance is negative": (
        f"UPDATE ledger.balance SET settled_debit = settled_debit + 10::NUMERIC ^ 30 WHERE {LOCKED}",
        "locked, and owes",
        {"S1", "S3"},
    ),
    "an order that has ended holds something": (
        f"UPDATE ledger.entry SET amount = amount - 1 WHERE {UNLOCKED} AND {LOCKED}",
        "has ended, and 1 is still locked for it",
        {"S3"},
    ),
    "more was unlocked than was locked": (
        f"UPDATE ledger.entry SET amount = amount + 1 WHERE {UNLOCKED} AND {LOCKED}",
        "more was taken from order",
        {"S3"},
    ),
    "an order that is filled holds something": (
        f"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id IN ({SOLD}) AND {LOCKED}",
        "is filled, and 1 is still locked for it",
        {"S3"},
    ),
    "an order holds more than is left of it": (
        f"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id IN ({WHOLE}) AND {LOCKED}",
        "locked, and what is left of it costs",
        {"S3"},
    ),
    "an order holds less than is left of it": (
        f"UPDATE ledger.entry SET amount = 1 WHERE tx_id IN ({WHOLE}) AND {LOCKED}",
        "has 1 locked, and what is left of it costs",
        {"S3"},
    ),
}


class Tapes:
    """Topics as a peek shows them."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def everything(self, topic: str) -> Iterator[tuple[tuple[str, int], RawMessage]]:
        """Every message of a topic."""
        for key, messages in self._recorded.items():
            if key[0] == topic:
                yield from ((key, message) for message in messages)


class Left(NamedTuple):
    """What a settlement left: what was told, what it said, and where its ledger is."""

    recorded: Recorded
    results: list[SettlementResult]
    server: str
    database: str

    def breaches(self, dsn: str, results: Sequence[SettlementResult] | None = None) -> dict[str, list[str]]:
        """Judge a ledger, and perhaps other results."""
        said = self.results if results is None else results
        tape = [RawMessage(number, 1, None, encode(result)) for number, result in enumerate(said)]
        peek = Tapes({**self.recorded, (SETTLEMENT_RESULTS.name, 0): tape})
        with connect(dsn, "reader", "test") as connection:
            evidence = Evidence(connection, cast("Peek", peek))
            return {name: list(check(evidence)) for name, check in CHECKS.items()}

    def copy(self) -> Any:
        """Open a copy of its ledger."""
        return open_database(make_conninfo(self.server, dbname="postgres"), template=self.database)


@pytest.fixture(scope="module")
def left(server: str) -> Iterator[Left]:
    """The words of a crowd, settled in Postgres."""
    tapes, told = recorded(enumerate(WORDS)), fresh()
    with open_database(server) as dsn:
        migrate(dsn)
        with ExitStack() as stack:
            books = stack.enter_context(closing(PostgresLedger(dsn, SETTLEMENT_SHARD, accounts=FIXED)))
            asked = stack.enter_context(closing(PostgresBooks(dsn)))
            records = stack.enter_context(closing(PostgresRecords(dsn)))
            shard = ledger.Setup(SETTLEMENT_SHARD, lambda: at_once(books), (), 1000)
            own = settlement.Setup(shard, lambda: asked, lambda: records)
            run_built(flow_over(tapes, own, told, 50, None), 1, None)
        results = [
            SettlementResult.model_validate_json(one.value) for one in told.outgoing if one.topic == SETTLEMENT_RESULTS.name
        ]
        yield Left(tapes, results, server, str(conninfo_to_dict(dsn)["dbname"]))


def broken(breaches: Mapping[str, list[str]]) -> set[str]:
    """The promises that are broken."""
    return {name for name, found in breaches.items() if found}


def test_what_the_flow_left_is_sound(left: Left) -> None:
    """Every promise is kept, with trades that were refused, that came again, or that wait."""
    with left.copy() as dsn:
        assert {name: [] for name in ("S1", "S2", "S3", "S4")} == left.breaches(dsn)
    assert {"booked", "refused"} == {result.outcome for result in left.results if result.kind == "trade"}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_breach_is_found(name: str, left: Left) -> None:
    """With triggers and bounds out of the way, a damage that the database itself would refuse is found and said in a sentence."""
    statement, sentence, expected = PLANTED[name]
    with left.copy() as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("ALTER TABLE ledger.balance DROP CONSTRAINT balance_min_available")
            connection.execute("SET session_replication_role = replica")
            assert 0 < connection.execute(statement.encode()).rowcount
        breaches = left.breaches(dsn)
    assert expected == broken(breaches), breaches
    assert sentence in " ".join(text for found in breaches.values() for text in found)


def _of_lock(results: list[SettlementResult]) -> int:
    return next(number for number, one in enumerate(results) if (one.kind, one.outcome) == ("lock", "booked"))


def without(results: list[SettlementResult]) -> list[SettlementResult]:
    """Leave the result of a lock out."""
    return [one for number, one in enumerate(results) if number != _of_lock(results)]


def with_another(results: list[SettlementResult]) -> list[SettlementResult]:
    """Say of a lock that it is refused, too."""
    said = results[_of_lock(results)]
    return [*results, said.model_copy(update={"outcome": "refused", "reason": "insufficient", "after": None})]


def of_nobody(results: list[SettlementResult]) -> list[SettlementResult]:
    """Say something of an order that nobody told of."""
    return [*results, results[_of_lock(results)].model_copy(update={"id": "nobody"})]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without, "nothing was said of the lock"),
        (with_another, "2 different things were said"),
        (of_nobody, "of which nobody told"),
    ],
)
def test_a_word_has_one_result(
    change: Callable[[list[SettlementResult]], list[SettlementResult]], sentence: str, left: Left
) -> None:
    """A result that is missing, that contradicts another one, or that is of no word is found."""
    with left.copy() as dsn:
        breaches = left.breaches(dsn, change(left.results))
    assert {"S4"} == broken(breaches)
    assert sentence in " ".join(breaches["S4"])


def test_the_same_said_again_is_no_breach(left: Left) -> None:
    """After a crash results are told again, without what accounts came to."""
    again = [result.model_copy(update={"after": None}) for result in left.results]
    with left.copy() as dsn:
        assert set() == broken(left.breaches(dsn, [*left.results, *again]))


def test_a_chain_is_followed_by_numbers_and_hashes() -> None:
    """Whatever the order in which its trades were told: what waits and what does not belong there are told apart."""
    found = chained([WAITS, WRONG, *TRADES, STRAY, LAST])
    assert Chained(tuple(TRADES), (WAITS,), (WRONG, STRAY)) == Chained(*map(tuple, found))
    gap = chained([*TRADES[:3], *TRADES[4:]])
    assert (TRADES[:3], TRADES[4:]) == (gap.in_turn, gap.waiting)
    stopped = chained(TRADES, lambda trade: trade is TRADES[3])
    assert (TRADES[:3], TRADES[3:]) == (stopped.in_turn, stopped.waiting)
