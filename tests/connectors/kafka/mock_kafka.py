"""A Kafka cluster inside the process whose faults can be asked for: librdkafka's own mock, driven through ctypes.

It speaks the real protocol on a loopback port, so clients under test know of nothing. Brokers can be taken down and
brought up again, requests can be answered with errors, and records can be deleted as retention would.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import confluent_kafka

PRODUCE = 0
"""The number of the produce request in Kafka's protocol."""

_PRODUCER_TYPE = 0
_BROKER = 1
_POINTER, _TEXT, _INT, _INT32, _SIZE = (
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_int32,
    ctypes.c_size_t,
)
_SIGNATURES: dict[str, tuple[Any, Sequence[Any]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_new": (_POINTER, [_INT, _POINTER, _TEXT, _SIZE]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, _INT]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_POINTER]),
    "rd_kafka_mock_topic_create": (_INT, [_POINTER, _TEXT, _INT, _INT]),
    "rd_kafka_mock_broker_set_down": (_INT, [_POINTER, _INT32]),
    "rd_kafka_mock_broker_set_up": (_INT, [_POINTER, _INT32]),
    "rd_kafka_mock_push_request_errors_array": (None, [_POINTER, ctypes.c_int16, _SIZE, ctypes.POINTER(_INT)]),
    "rd_kafka_mock_partition_delete_records": (_INT, [_POINTER, _TEXT, _INT32, ctypes.c_int64]),
}


@lru_cache
def _library() -> ctypes.CDLL:
    """The library that confluent-kafka brings along, so that both are one version."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*"))))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockKafka:
    """One broker, and what can befall it."""

    def __init__(self, cluster: int) -> None:
        self._cluster = cluster

    @property
    def bootstrap(self) -> str:
        """Where clients find it."""
        address: bytes = _library().rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic."""
        self._done(_library().rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1))

    def down(self) -> None:
        """Drop all connections, and take no new ones."""
        self._done(_library().rd_kafka_mock_broker_set_down(self._cluster, _BROKER))

    def up(self) -> None:
        """Take connections again."""
        self._done(_library().rd_kafka_mock_broker_set_up(self._cluster, _BROKER))

    def answer(self, request: int, errors: Sequence[int]) -> None:
        """Answer the next requests of a kind with these errors, one each."""
        codes = (ctypes.c_int * len(errors))(*errors)
        _library().rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes)

    def delete_records(self, topic: str, partition: int, before_offset: int) -> None:
        """Delete what is older, as retention does."""
        library = _library()
        self._done(library.rd_kafka_mock_partition_delete_records(self._cluster, topic.encode(), partition, before_offset))

    @staticmethod
    def _done(code: int) -> None:
        if code:
            msg = f"the mock cluster answers with error {code}"
            raise RuntimeError(msg)


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    """A cluster for as long as the block lasts."""
    library, error = _library(), ctypes.create_string_buffer(512)
    handle = library.rd_kafka_new(_PRODUCER_TYPE, library.rd_kafka_conf_new(), error, 512)
    if not handle:
        raise RuntimeError(error.value.decode())
    cluster = library.rd_kafka_mock_cluster_new(handle, 1)
    try:
        yield MockKafka(cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)
