"""What else could be done with the same messages and the same rows, and what that costs: the floor under every figure of ours.

    confluent_kafka     a loop that reads both legs of each trade and touches their bytes
    bytewax             a dataflow of two steps that parses the same messages and drops them
    naked_function      a function that writes headers, entries and balances by sets, without a guard, a verdict or a hash

None of them pairs, judges, proves, survives a crash or answers; they say how much of our cost could ever go.
"""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import bytewax.operators as op
import psycopg
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from confluent_kafka import Consumer, TopicPartition

from app.bench.load import PARTITIONS
from app.bench.posting.running import BATCH, settle
from app.bench.posting.trades import user_trades
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings, KafkaSource, client_options
from domain.ledger.journal import Transaction
from domain.streams.records import RawBatch
from domain.topics import DEALER_TRANSACTIONS

CONSUME_MESSAGES = 4096
_TOPIC = DEALER_TRANSACTIONS.name


def consumed_per_second(kafka: KafkaSettings, trades: int) -> float:
    """Trades per second whose two legs a plain consumer reads, from the beginning of the topic."""
    consumer = Consumer(client_options(kafka) | {"group.id": "ballast-bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(_TOPIC, partition, 0) for partition in range(PARTITIONS)])
    try:
        began = seen = 0
        while seen < 2 * trades:
            messages = consumer.consume(CONSUME_MESSAGES, 1)
            began = began or time.perf_counter_ns()
            seen += sum(message.value() is not None for message in messages)
        return trades / (time.perf_counter_ns() - began) * 1e9
    finally:
        consumer.close()


class _Count(StatelessSinkPartition[int]):
    def __init__(self, seen: list[int]) -> None:
        self._seen = seen

    def write_batch(self, items: list[int]) -> None:
        self._seen[0] += sum(items)


class _CountSink(DynamicSink[int]):
    def __init__(self, seen: list[int]) -> None:
        self._seen = seen

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> _Count:
        return _Count(self._seen)


def bytewax_per_second(kafka: KafkaSettings, trades: int) -> float:
    """Trades per second whose two legs a dataflow of two steps parses as JSON and drops."""
    seen = [0]
    source = KafkaSource(
        kafka,
        [(_TOPIC, partition) for partition in range(PARTITIONS)],
        now_ms,
        lambda: seen[0] >= 2 * trades,
        batch_size=CONSUME_MESSAGES,
    )
    flow = Dataflow("rival")
    parsed = op.map("parse", op.input("read", flow, source), _parse)
    op.output("drop", parsed, _CountSink(seen))
    began = time.perf_counter()
    run_main(flow)  # type: ignore[no-untyped-call]
    return trades / (time.perf_counter() - began)


def _parse(batch: RawBatch) -> int:
    """Return how many messages there were; what is no JSON counts too, as it does for everybody who reads a topic."""
    for message in batch.messages:
        with suppress(ValueError):
            json.loads(message.value)
    return len(batch.messages)


_NAKED = """
DROP SCHEMA IF EXISTS naked CASCADE; CREATE SCHEMA naked;
CREATE TABLE naked.tx (tx_id UUID PRIMARY KEY, template TEXT NOT NULL, effective_at TIMESTAMPTZ NOT NULL, meta JSON NOT NULL);
CREATE TABLE naked.entry (
    tx_id UUID NOT NULL, leg SMALLINT NOT NULL, account TEXT NOT NULL, currency TEXT NOT NULL, amount NUMERIC(38, 0) NOT NULL,
    PRIMARY KEY (tx_id, leg)
);
CREATE TABLE naked.balance (
    account TEXT NOT NULL, currency TEXT NOT NULL, balance NUMERIC(38, 0) NOT NULL, PRIMARY KEY (account, currency)
);
CREATE FUNCTION naked.post(
    ids UUID[], templates TEXT[], times BIGINT[], metas TEXT[],
    tx_ids UUID[], legs SMALLINT[], accounts TEXT[], currencies TEXT[], amounts NUMERIC[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO naked.tx
    SELECT t.id, t.template, to_timestamp(t.at_ms / 1000.0), t.meta::JSON
    FROM unnest(ids, templates, times, metas) AS t (id, template, at_ms, meta);
    INSERT INTO naked.entry SELECT * FROM unnest(tx_ids, legs, accounts, currencies, amounts);
    INSERT INTO naked.balance AS b
    SELECT e.account, e.currency, sum(e.amount) FROM unnest(accounts, currencies, amounts) AS e (account, currency, amount)
    GROUP BY e.account, e.currency ON CONFLICT (account, currency) DO UPDATE SET balance = b.balance + excluded.balance;
$$
"""


def naked_per_second(dsn: str, trades: int) -> float:
    """User trades per second that one function writes by sets of 2,000, a commit each."""
    at_ms = now_ms()
    postings = iter(user_trades(f"naked-{at_ms:x}", trades, at_ms))
    sets = [_columns(batch) for batch in iter(lambda: list(islice(postings, BATCH)), [])]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_NAKED)
        settle(dsn)
        began = time.perf_counter()
        for columns in sets:
            connection.execute("SELECT naked.post(%s, %s, %s, %s, %s, %s::SMALLINT[], %s, %s, %s)", columns)
        seconds = time.perf_counter() - began
        connection.execute("DROP SCHEMA naked CASCADE")
    return trades / seconds


def _columns(batch: Sequence[Transaction]) -> list[list[Any]]:
    headers = [(one.id, one.template, one.effective_at_ms, one.meta) for one in batch]
    entries = [
        (one.id, leg, entry.account, entry.currency, entry.side * entry.amount)
        for one in batch
        for leg, entry in enumerate(one.entries, 1)
    ]
    return [list(column) for column in (*zip(*headers, strict=True), *zip(*entries, strict=True))]
