"""A settlement to audit, the same every time: customers who pay in, order and trade by chance; a trade that was refused and is
settled after all, one that waits for another, a symbol that stands since a link is broken; and a correction that two agreed to.
"""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from functools import cache
from typing import Any

from connectors.recorded import Recorded
from domain.ledger.accounts import CHART, SETTLEMENT_SHARD
from domain.messages.fields import Message
from domain.messages.gov import Vote
from domain.messages.settlement import (
    CustomerCorrection,
    CustomerFlow,
    CustomerTerms,
    FeeSchedule,
    Instrument,
    MatchedTrade,
    OrderLock,
    TradeReplay,
)
from domain.settlement.links import GENESIS, linked
from domain.streams.records import RawMessage
from sinks.ledger.writer import PostgresLedger
from sinks.settlement import PostgresRecords
from tests.domain.settlement.played import AT_MS, said_once
from tests.flows.settlement_runs import Told, recorded, run

STEPS = 150
BATCH = 20
APPROVALS = "gov.approvals"
LATE, GONE, BROKEN = "late trade", "trade behind a gap", "trade of another chain"
ANNA: dict[str, Any] = {"by": "anna", "as_of": AT_MS}


@cache
def words() -> tuple[Message, ...]:
    """Everything that is told, in order."""
    said = [*_terms(), *said_once(11, STEPS)]
    return (*said, *_after(said))


def _terms() -> Iterator[Message]:
    levels = ((1000, 1500), (900, 1400), (100, 400))
    yield FeeSchedule(fees="standard", levels=levels, reason="first schedule", **ANNA)
    yield CustomerTerms(customer="u1", level=2, status="active", reason="volume", **ANNA)


def _after(said: list[Message]) -> Iterator[Message]:
    """What goes wrong, and is mended, on a symbol of its own and at the ends of the two others."""
    yield from _late()
    yield from _waiting([one for one in said if isinstance(one, MatchedTrade) and one.symbol == "BTC_USDT"][-1])
    yield from _broken([one for one in said if isinstance(one, MatchedTrade) and one.symbol == "ETH_USDT"][-1])
    yield CustomerCorrection(id="fix:f1", customer="u2", asset="USDT", amount=5, reason="came short", **ANNA)
    yield Vote(subject="fix:f1", vote="approve", by="boris", reason="agreed", as_of=AT_MS)
    yield OrderLock(order_id="nobody's", customer="u3", symbol="BTC_USDT", command="unlock", as_of=AT_MS)


def _late() -> Iterator[Message]:
    """A pair of the finest decimals, whose first trade comes before its orders: a person has it settled once these are there."""
    example = Instrument.model_validate_json(Instrument.examples[1])
    pair = {"symbol": "DOT_ETH", "base": "DOT", "base_decimals": 10, "quote": "ETH", "quote_decimals": 18}
    yield example.model_copy(update={**pair, "tick": Decimal("0.000001"), "lot": 1, "as_of": AT_MS})
    yield _paid("dots", "w1", "DOT", 7 * 10**12)
    yield _paid("ethers", "w2", "ETH", 10**23)
    yield _paid("gift", "w2", "ETH", 10**18).model_copy(update={"kind": "transfer", "to": "w1"})
    trade = _trade(LATE, "DOT_ETH", 1, GENESIS, price=Decimal("123.456789"), quantity=9_876_543_210)
    yield trade
    yield _lock("late buy", "w2", "buy", "124", 2 * 10**10)
    yield _lock("late sell", "w1", "sell", "123", 10**11)
    yield TradeReplay(trade=trade, reason="its orders came late", **ANNA)


def _paid(name: str, customer: str, asset: str, amount: int) -> CustomerFlow:
    return CustomerFlow(id=name, customer=customer, asset=asset, amount=amount, kind="deposit", as_of=AT_MS)


def _lock(name: str, customer: str, side: Any, limit: str, quantity: int) -> OrderLock:
    own: dict[str, Any] = {"order_id": name, "customer": customer, "symbol": "DOT_ETH", "command": "lock", "as_of": AT_MS}
    return OrderLock(**own, side=side, limit=Decimal(limit), quantity=quantity)


def _trade(name: str, symbol: str, sequence: int, previous: str, **more: Any) -> MatchedTrade:
    sides = {"buyer": "w2", "buy_order_id": "late buy", "seller": "w1", "sell_order_id": "late sell", "maker": "buyer"}
    told = {"symbol": symbol, "sequence": sequence, "trade_id": name, "as_of": AT_MS, "previous_hash": previous, **sides}
    return linked(MatchedTrade(**{"price": Decimal(100), "quantity": 1000, "hash": GENESIS, **told, **more}))


def _waiting(last: MatchedTrade) -> Iterator[Message]:
    yield last
    yield _trade(GONE, last.symbol, last.sequence + 2, "1" * 32)


def _broken(last: MatchedTrade) -> Iterator[Message]:
    broken = _trade(BROKEN, last.symbol, last.sequence + 1, "1" * 32)
    yield broken
    yield _trade("trade behind it", last.symbol, last.sequence + 2, broken.hash)


@cache
def tapes() -> Recorded:
    """What is told, topic by topic; approvals have a partition of their own, since others are given beside them."""
    found = recorded(enumerate(words()))
    return {(topic, 1 if topic == APPROVALS else number): tape for (topic, number), tape in found.items()}


@cache
def told() -> Told:
    """What the flow makes of it."""
    return run(tapes(), batch_size=BATCH)


def fill_settlement(dsn: str) -> None:
    """Book what was settled, and keep what was refused, and on which terms is traded."""
    booked = told().ledger.transactions()
    with closing(PostgresLedger(dsn, SETTLEMENT_SHARD, accounts=CHART)) as ledger:
        for start in range(0, len(booked), BATCH):
            ledger.post(booked[start : start + BATCH])
    with closing(PostgresRecords(dsn)) as records:
        records.keep(told().terms)
        records.refuse(told().refused)


def messages() -> Iterator[tuple[tuple[str, int], RawMessage]]:
    """What is on the topics that the settlement alone reads, and what it said of each word."""
    for key, lines in tapes().items():
        yield from ((key, message) for message in lines)
    for offset, message in enumerate(one for one in told().outgoing if one.topic == "settlement.results"):
        yield ("settlement.results", 0), RawMessage(offset, message.at_ms, message.key, message.value)
