"""The load of benchmarks: user trades as lines for `dealer.transactions`, made fast and the same every time."""

from collections.abc import Iterable, Iterator

import psycopg
from confluent_kafka import Producer

from connectors.kafka.source import KafkaSettings, client_options
from domain.topics import DEALER_TRANSACTIONS, LEDGER_POSTINGS

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
    legs = enumerate(trade_lines(run, 0, count, start_ms))
    produce_all(kafka, DEALER_TRANSACTIONS.name, ((leg, n % PARTITIONS) for n, pair in legs for leg in pair))


def produce_postings(kafka: KafkaSettings, count: int, at_ms: int) -> None:
    """Put single postings between two wallets on their topic as fast as it takes them."""
    line = '{"key":"load-%d","debit":"LOAD_A","credit":"LOAD_B","currency":"USD","amount":5,"effective_at":%d}'
    produce_all(kafka, LEDGER_POSTINGS.name, (((line % (n, at_ms)).encode(), 0) for n in range(count)))


def open_wallets(dsn: str) -> None:
    """Open the two wallets that single postings move money between."""
    account = "INSERT INTO ledger.account (code, journal, normal_side, currency, shard) VALUES (%s, 'Wallet', -1, 'USD', 1)"
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(account, [("LOAD_A",), ("LOAD_B",)])


def produce_all(kafka: KafkaSettings, topic: str, messages: Iterable[tuple[bytes, int]], key: bytes | None = None) -> None:
    """Put messages on a topic, each on its partition, as fast as it takes them."""
    producer = Producer(client_options(kafka) | {"linger.ms": 20, "batch.num.messages": 10_000})
    for value, partition in messages:
        _produce(producer, topic, value, partition, key)
    producer.flush(60)


def _produce(producer: Producer, topic: str, value: bytes, partition: int, key: bytes | None) -> None:
    while True:
        try:
            producer.produce(topic, value, key=key, partition=partition)
        except BufferError:
            producer.poll(0.05)
        else:
            return
