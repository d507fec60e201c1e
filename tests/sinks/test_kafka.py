"""The Kafka sink: an epoch ends with everything delivered, or the flow stops."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main
from confluent_kafka import Consumer, KafkaError, TopicPartition

from app.troubles import bottom_of
from connectors.recorded import RecordedSource
from domain.errors import AwayError, BallastError
from domain.streams.records import Outgoing, RawMessage
from sinks.kafka import DeliveryError, KafkaSink
from tests.connectors.kafka.mock_kafka import PRODUCE, MockKafka, mock_kafka
from tests.waiting import until

TOPIC = "out"
PERMANENT = KafkaError.TOPIC_AUTHORIZATION_FAILED
TRANSIENT = KafkaError.NOT_ENOUGH_REPLICAS


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    """A broker whose faults can be asked for, with one topic."""
    with mock_kafka() as cluster:
        cluster.create(TOPIC, 1)
        yield cluster


def options(mock: MockKafka, **more: Any) -> dict[str, Any]:
    """A client that comes back soon after an outage, and makes no noise about it."""
    quick = {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 10, "log_level": 0}
    return {"bootstrap.servers": mock.bootstrap, **quick, **more}


def opened(mock: MockKafka, **more: Any) -> Any:
    """The only partition of the sink, as the engine would open it."""
    sink = KafkaSink(options(mock, **more))
    assert ["producer-0"] == sink.list_parts()
    return sink.build_part("to_topics", "producer-0", None)


def messages(*values: bytes) -> list[Outgoing]:
    """Messages on their way out."""
    return [Outgoing(TOPIC, 1_700_000_000_000, b"k", value) for value in values]


def on_topic(mock: MockKafka, enough: int) -> list[bytes]:
    """Everything that the broker has, in order; waits for so many."""
    consumer = Consumer({"bootstrap.servers": mock.bootstrap, "group.id": "test", "log_level": 0})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found: list[bytes] = []

    def is_enough() -> bool:
        found.extend(message.value() or b"" for message in consumer.consume(100, 0.05) if message.error() is None)
        return len(found) >= enough

    until(is_enough, f"{enough} messages")
    consumer.close()
    return found


def test_a_snapshot_waits_for_delivery(mock: MockKafka) -> None:
    """When the snapshot returns, the broker has every message, in order, however long they linger."""
    producing = opened(mock, **{"linger.ms": 300})
    producing.write_batch(messages(b"1", b"2"))
    producing.write_batch(messages(b"3"))
    producing.snapshot()
    assert [b"1", b"2", b"3"] == on_topic(mock, 3)
    producing.close()


def test_an_end_waits_for_delivery(mock: MockKafka) -> None:
    """A flow that ends has delivered everything, with a recovery store or without."""
    run_main(flow(mock, 3, **{"linger.ms": 300}))
    assert [b"%d" % number for number in range(30)] == on_topic(mock, 30)


def test_keys_and_bytes_arrive_as_they_are(mock: MockKafka) -> None:
    """Any bytes and no key are fine."""
    producing = opened(mock)
    producing.write_batch([Outgoing(TOPIC, 0, None, b"\xff\x00"), Outgoing(TOPIC, 0, b"\xfe", b"")])
    producing.snapshot()
    assert [b"\xff\x00", b""] == on_topic(mock, 2)
    producing.close()


def test_a_refused_message_stops_the_flow(mock: MockKafka) -> None:
    """A delivery that fails for good is an error, in the batch or in the snapshot, and stays one."""
    producing = opened(mock)
    mock.answer(PRODUCE, [PERMANENT] * 3)
    producing.write_batch(messages(b"1"))
    with pytest.raises(DeliveryError, match="the broker did not take a message"):
        producing.snapshot()
    with pytest.raises(DeliveryError):
        producing.write_batch(messages(b"2"))
    producing.close()


def test_a_hiccup_is_retried_in_order(mock: MockKafka) -> None:
    """Errors that pass are retried, and nothing is lost, doubled or out of order for it."""
    producing = opened(mock)
    mock.answer(PRODUCE, [TRANSIENT] * 3)
    for number in range(20):
        producing.write_batch(messages(b"%d" % number))
    producing.snapshot()
    assert [b"%d" % number for number in range(20)] == on_topic(mock, 20)
    producing.close()


def test_a_short_outage_is_waited_out(mock: MockKafka) -> None:
    """A broker that is back before the time for delivery is over gets everything."""
    producing = opened(mock)
    mock.down()
    producing.write_batch(messages(b"1"))
    mock.up()
    producing.snapshot()
    assert [b"1"] == on_topic(mock, 1)
    producing.close()


def test_an_outage_stops_the_flow(mock: MockKafka) -> None:
    """Messages that time out are an outage: the epoch does not end, and whoever started the flow waits."""
    producing = opened(mock, **{"message.timeout.ms": 300})
    mock.down()
    producing.write_batch(messages(b"1"))
    with pytest.raises(AwayError, match="the broker did not take a message"):
        producing.snapshot()


def test_a_broker_that_does_not_answer_stops_the_flow(mock: MockKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot does not wait for ever; the sentence says how many messages are left and what to look at."""
    monkeypatch.setattr("sinks.kafka.DELIVERY_TIMEOUT_SECONDS", 0.2)
    producing = opened(mock)
    mock.down()
    producing.write_batch(messages(b"1", b"2"))
    with pytest.raises(AwayError, match=r"2 messages were not taken .* is it up\?"):
        producing.snapshot()
    mock.up()


def test_a_full_queue_is_waited_for(mock: MockKafka) -> None:
    """More messages than the client holds at once are handed over as it empties."""
    producing = opened(mock, **{"queue.buffering.max.messages": 5})
    producing.write_batch(messages(*(b"%d" % number for number in range(50))))
    producing.snapshot()
    assert [b"%d" % number for number in range(50)] == on_topic(mock, 50)
    producing.close()


def flow(mock: MockKafka, batch_size: int, **more: Any) -> Dataflow:
    """Numbers from a tape to a topic."""
    tape = [RawMessage(number, number, None, b"%d" % number) for number in range(30)]
    dataflow = Dataflow("numbers")
    read = op.input("tape", dataflow, RecordedSource({("in", 0): tape}, batch_size))
    out = op.flat_map("out", read, lambda batch: messages(*(message.value for message in batch.messages)))
    op.output("to_topics", op.map("key", out, lambda one: ("producer", one)), KafkaSink(options(mock, **more)))
    return dataflow


def failure_of(dataflow: Dataflow, recovery: RecoveryConfig) -> BallastError | None:
    """What a run fails with, under what the engine wraps around it."""
    try:
        run_main(dataflow, epoch_interval=timedelta(0), recovery_config=recovery)
    except Exception as error:
        return bottom_of(error)
    return None


def test_a_message_that_no_broker_takes_stops_the_flow(mock: MockKafka) -> None:
    """What the client itself refuses to send is an error of the same kind."""
    producing = opened(mock)
    with pytest.raises(DeliveryError, match="too large"):
        producing.write_batch(messages(b"x" * 5_000_000))
    producing.close()


def test_a_flow_ends_rather_than_losing(mock: MockKafka, tmp_path: Path) -> None:
    """A flow whose broker goes down ends with an error; started again it delivers all that was not delivered."""
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path))
    mock.answer(PRODUCE, [0, 0, PERMANENT])
    assert isinstance(failure_of(flow(mock, 3), recovery), DeliveryError)
    mock.down()
    assert isinstance(failure_of(flow(mock, 3, **{"message.timeout.ms": 200}), recovery), AwayError)
    mock.up()
    run_main(flow(mock, 3), epoch_interval=timedelta(0), recovery_config=recovery)
    delivered = on_topic(mock, 30)
    assert [b"%d" % number for number in range(30)] == sorted(set(delivered), key=int)
