"""Recorded topics as a source: the stand-in for Kafka in replays and tests, deterministic and without a clock.

A topic is a file `<topic>.jsonl` with one message per line and its coordinates:

    {"at_ms": 1700000000000, "partition": 0, "offset": 7, "key": null, "value": "{\\"id\\": ...}"}

`value_base64` stands in for `value` where the bytes are not UTF-8. A line that is itself a message, as a person would type it,
is taken too: it gets the partition 0, its line number as offset, and its own time. A mark of the byte order, which some
editors put first, is left out.
"""

import json
from base64 import b64decode, b64encode
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from bytewax.inputs import AbortExecution, FixedPartitionedSource, StatefulSourcePartition
from pydantic_core import from_json

from domain.errors import ConfigError
from domain.streams.records import FOREVER_MS, RawBatch, RawMessage, source_name
from domain.times import LATEST_MS, parse_ms
from domain.topics import BY_NAME, Topic

Recorded = Mapping[tuple[str, int], Sequence[RawMessage]]
"""Messages by topic and partition, in offset order."""


class RecordedSource(FixedPartitionedSource[RawBatch, int]):
    """Hands on recorded messages in batches; when a partition ends, its watermark is for ever.

    A message that is older than one before it in its partition (clocks of producers differ) gets the time of that one, so
    what follows does not depend on the size of batches. `crash_at` ends a run without a snapshot once a partition has
    handed on so many messages, as a crash would.
    """

    def __init__(self, recorded: Recorded, batch_size: int = 1000, crash_at: int | None = None) -> None:
        self._recorded = {source_name(*key): (key, _in_time(messages)) for key, messages in recorded.items()}
        self._batch_size = batch_size
        self._crash_at = crash_at

    def list_parts(self) -> list[str]:
        return sorted(self._recorded)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "_Tape":
        key, messages = self._recorded[for_part]
        return _Tape(key, messages, resume_state or 0, self._batch_size, self._crash_at)


class _Tape(StatefulSourcePartition[RawBatch, int]):
    def __init__(
        self, key: tuple[str, int], messages: Sequence[RawMessage], place: int, batch_size: int, crash_at: int | None
    ) -> None:
        self._key = key
        self._messages = messages
        self._place = place
        self._batch_size = batch_size
        self._crash_at = crash_at
        self._ended = False

    def next_batch(self) -> Iterable[RawBatch]:
        if self._ended:
            raise StopIteration
        if self._crash_at is not None and self._place >= self._crash_at:
            raise AbortExecution
        read = self._messages[self._place : self._place + self._batch_size]
        self._place += len(read)
        self._ended = self._place >= len(self._messages)
        watermark_ms = FOREVER_MS if self._ended else read[-1].at_ms
        return [RawBatch(*self._key, watermark_ms, read)]

    def snapshot(self) -> int:
        return self._place


def _in_time(messages: Sequence[RawMessage]) -> list[RawMessage]:
    times = accumulate((message.at_ms for message in messages), max)
    return [message._replace(at_ms=at_ms) for message, at_ms in zip(messages, times, strict=True)]


def write_line(message: RawMessage, partition: int) -> str:
    """One recorded message as a line of JSON, without the line's end."""
    line: dict[str, Any] = {"at_ms": message.at_ms, "partition": partition, "offset": message.offset}
    try:
        key = None if message.key is None else message.key.decode()
        line |= {"key": key, "value": message.value.decode()}
    except UnicodeDecodeError:
        encoded_key = None if message.key is None else b64encode(message.key).decode()
        line |= {"key_base64": encoded_key, "value_base64": b64encode(message.value).decode()}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def read_folder(folder: Path, topics: Sequence[Topic[Any]]) -> dict[tuple[str, int], list[RawMessage]]:
    """Read the recorded topics of a folder; a topic without a file is empty. ConfigError names a line that cannot be read."""
    if not any((folder / f"{name}.jsonl").is_file() for name in BY_NAME):
        msg = (
            f"{folder} holds no recorded topic such as dealer.transactions.jsonl; record one with: ballast demo --record DIR"
        )
        raise ConfigError(msg)
    recorded: dict[tuple[str, int], list[RawMessage]] = {}
    for topic in topics:
        recorded |= {(topic.name, partition): [] for partition in range(topic.partitions)}
        for partition, message in _read_file(folder / f"{topic.name}.jsonl"):
            recorded.setdefault((topic.name, partition), []).append(message)
    return {key: sorted(messages, key=lambda message: message.offset) for key, messages in recorded.items()}


def _read_file(path: Path) -> Iterable[tuple[int, RawMessage]]:
    if not path.is_file():
        return
    latest_ms = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file):
            line = raw if number else raw.removeprefix(BOM_UTF8)
            if line.strip():
                partition, message = _read_line(line.rstrip(b"\r\n"), number, latest_ms, path)
                latest_ms = max(latest_ms, message.at_ms)
                yield partition, message


def _read_line(line: bytes, number: int, latest_ms: int, path: Path) -> tuple[int, RawMessage]:
    try:
        parsed = from_json(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "at_ms" not in parsed or not parsed.keys() & {"value", "value_base64"}:
        return 0, RawMessage(number, max(latest_ms, _own_time_ms(parsed)), None, line)
    try:
        return int(parsed["partition"]), _message(parsed)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        msg = f"{path.name}, line {number + 1}: not a recorded message ({error!r}); it needs at_ms, partition, offset and value"
        raise ConfigError(msg) from error


def _message(parsed: dict[str, Any]) -> RawMessage:
    offset, at_ms = int(parsed["offset"]), int(parsed["at_ms"])
    if not 0 <= at_ms <= LATEST_MS:
        msg = f"at_ms is epoch milliseconds, from 0 to {LATEST_MS}"
        raise ValueError(msg)
    if "value_base64" in parsed:
        key, value = parsed.get("key_base64"), b64decode(parsed["value_base64"], validate=True)
        return RawMessage(offset, at_ms, b64decode(key) if key is not None else None, value)
    key = parsed.get("key")
    return RawMessage(offset, at_ms, None if key is None else key.encode(), parsed["value"].encode())


def _own_time_ms(parsed: Any) -> int:
    """The time that a typed message gives for itself, 0 when there is none that can be read."""
    if not isinstance(parsed, dict):
        return 0
    try:
        at_ms = parse_ms(parsed.get("as_of", parsed.get("created_at")))
    except ValueError:
        return 0
    return at_ms if 0 <= at_ms <= LATEST_MS else 0
