"""The load of benchmarks: user trades as lines for `dealer.transactions`, made fast and the same every time."""

from collections.abc import Iterator

from confluent_kafka import Producer

from connectors.kafka import KafkaSettings, client_options
from domain.topics import DEALER_TRANSACTIONS

TRADES_PER_SECOND_OF_STAMPS = 20_000
PARTITIONS = DEALER_TRANSACTIONS.partitions


def trade_lines(run: str, first: int, count: int, start_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """Both legs of `count` trades; their stamps go on by a second every 20,000 trades. Half the trades buy dollars."""
    for number in range(first, first + count):
        at_ms = start_ms + number // TRADES_PER_SECOND_OF_STAMPS * 1000
        cents = 1_000 + number * 7919 % 100_000
        yield _legs(f"{run}-{number}", at_ms, cents, buys=number % 4 != 0)


def _legs(name: str, at_ms: int, cents: int, *, buys: bool) -> tuple[bytes, bytes]:
    sats, sign = cents * 25, "" if buys else "-"
    bitcoin = (
        f'{{"id":"b-{name}","created_at":{at_ms},"direction":"{"RECEIVE" if buys else "SEND"}","settlement_currency":"BTC",'
        f'"settlement_amount":{sign}{sats},"cents_per_unit":"0.04","memo":"JournalId:{name}"}}'
    )
    dollars = (
        f'{{"id":"u-{name}","created_at":{at_ms},"direction":"{"SEND" if buys else "RECEIVE"}","settlement_currency":"USD",'
        f'"settlement_amount":{"-" if buys else ""}{cents},"memo":"JournalId:{name}"}}'
    )
    return bitcoin.encode(), dollars.encode()


def produce_trades(kafka: KafkaSettings, run: str, count: int, start_ms: int) -> None:
    """Put trades on the topic as fast as it takes them."""
    producer = Producer(client_options(kafka) | {"linger.ms": 20, "batch.num.messages": 10_000})
    for number, legs in enumerate(trade_lines(run, 0, count, start_ms)):
        for leg in legs:
            _produce(producer, leg, number % PARTITIONS)
    producer.flush(60)


def _produce(producer: Producer, value: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(DEALER_TRANSACTIONS.name, value, partition=partition)
        except BufferError:
            producer.poll(0.05)
        else:
            return
