"""Trades at a steady pace, and how long each took to be decided upon."""

import json
import time
from bisect import bisect_left
from collections.abc import Iterator

from confluent_kafka import Producer

from app.bench.load import trade_lines
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings, client_options
from domain.topics import DEALER_TRANSACTIONS, HEDGING_DECISIONS

TICK_SECONDS = 0.002


def pace_trades(kafka: KafkaSettings, run: str, per_second: int, seconds: int) -> None:
    """Put `per_second` trades a second on the topic, both legs of a trade one after the other."""
    producer = Producer(client_options(kafka) | {"linger.ms": 1})
    began, total, sent = time.monotonic(), per_second * seconds, 0
    lines = trade_lines(run, 0, total, now_ms())
    while sent < total:
        due = min(total, int((time.monotonic() - began) * per_second))
        for _ in range(due - sent):
            for leg in next(lines):
                producer.produce(DEALER_TRANSACTIONS.name, leg)
        sent = due
        producer.poll(0)
        time.sleep(TICK_SECONDS)
    producer.flush(30)


def decision_latencies_ms(kafka: KafkaSettings, since_ms: int) -> Iterator[int]:
    """For every leg since then, from its time in Kafka to that of the first decision that knew what it led to."""
    peek = Peek(kafka)
    try:
        decided = sorted(_decisions(peek, since_ms))
        known = [as_of_ms for as_of_ms, _ in decided]
        for _, message in peek.everything(DEALER_TRANSACTIONS.name):
            place = bisect_left(known, message.at_ms)
            if message.at_ms >= since_ms and place < len(decided):
                yield decided[place][1] - message.at_ms
    finally:
        peek.close()


def _decisions(peek: Peek, since_ms: int) -> Iterator[tuple[int, int]]:
    """When the liability was as a decision knew it, and when the decision was on its topic; the first word per state."""
    first: dict[int, int] = {}
    for _, message in peek.everything(HEDGING_DECISIONS.name):
        as_of_ms = json.loads(message.value)["inputs"]["liability_as_of"]
        if as_of_ms is not None and as_of_ms >= since_ms:
            first.setdefault(as_of_ms, message.at_ms)
    yield from first.items()
