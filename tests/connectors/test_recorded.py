"""Recorded topics: every byte is kept, a person's lines are taken too, and a bad line is named."""

import json
from codecs import BOM_UTF8
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bytewax.inputs import AbortExecution
from hypothesis import given
from hypothesis import strategies as st

from connectors.recorded import RecordedSource, read_folder, write_line
from domain import topics
from domain.errors import ConfigError
from domain.streams.records import FOREVER_MS, RawBatch, RawMessage
from domain.times import LATEST_MS
from tests.words import START_MS, leg, raw, tick

LEGS = topics.DEALER_TRANSACTIONS
MESSAGES = st.builds(
    RawMessage,
    offset=st.integers(0, 99),
    at_ms=st.integers(0, LATEST_MS),
    key=st.none() | st.binary(max_size=9),
    value=st.binary(max_size=30) | st.text(max_size=30).map(str.encode),
)


def folder_of(folder: Path, *lines: str | bytes, topic: str = LEGS.name) -> Path:
    """A folder with these lines of a topic."""
    data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    (folder / f"{topic}.jsonl").write_bytes(data)
    return folder


def read(folder: Path, partition: int = 0) -> list[RawMessage]:
    """What a partition of the dealer's transactions has."""
    return read_folder(folder, [LEGS])[LEGS.name, partition]


@given(messages=st.lists(MESSAGES, unique_by=lambda message: message.offset, max_size=6), partition=st.integers(0, 3))
def test_what_is_written_can_be_read(
    messages: list[RawMessage], partition: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any key and any bytes, UTF-8 or not, come back as they were, in the order of their offsets."""
    folder = folder_of(tmp_path_factory.mktemp("recorded"), *(write_line(message, partition) for message in messages))
    assert sorted(messages, key=lambda message: message.offset) == read(folder, partition)


@given(MESSAGES)
def test_a_recorded_message_is_one_line(message: RawMessage) -> None:
    """Whatever is in a message, it takes one line."""
    line = write_line(message, 0)
    assert "\n" not in line
    assert "\r" not in line
    assert message.offset == json.loads(line)["offset"]


def test_typed_lines_are_messages(tmp_path: Path) -> None:
    """A line that is itself a message gets partition 0, its line number, and its own time, which never goes back."""
    lines = [
        '{"id":"b1","created_at":1700000005000}',
        '{"id":"u1","created_at":"2023-11-14T22:13:20Z"}',
        "not json",
        '{"as_of":1700000009000}',
    ]
    folder = folder_of(tmp_path, *lines)
    assert [
        RawMessage(0, 1_700_000_005_000, None, lines[0].encode()),
        RawMessage(1, 1_700_000_005_000, None, lines[1].encode()),
        RawMessage(2, 1_700_000_005_000, None, lines[2].encode()),
        RawMessage(3, 1_700_000_009_000, None, lines[3].encode()),
    ] == read(folder)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[" * 5_000,
        b"7",
        b"null",
        b'{"created_at":"yesterday"}',
        b'{"as_of":true}',
        b'{"created_at":-5}',
        b'{"as_of":99999999999999999999}',
        b'{"as_of":"9999-12-31T23:59:59-23:59"}',
    ],
)
def test_garbage_is_a_message_without_a_time(tmp_path: Path, line: bytes) -> None:
    """Whatever a line is, it is taken as it is for the flow to refuse, and carries no later line's time away."""
    folder = folder_of(tmp_path, line, b'{"as_of":5}')
    assert [(0, line), (5, b'{"as_of":5}')] == [(message.at_ms, message.value) for message in read(folder)]


def test_blank_lines_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    """Files from any editor read alike."""
    folder = folder_of(tmp_path, BOM_UTF8 + b'{"as_of":5}\r', b"", b"  ", b'{"as_of":6}')
    assert [(0, b'{"as_of":5}'), (3, b'{"as_of":6}')] == [(message.offset, message.value) for message in read(folder)]


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": None},
        {"partition": "x"},
        {"at_ms": -1},
        {"at_ms": LATEST_MS + 1},
        {"at_ms": "noon"},
        {"at_ms": float("inf")},
        {"value": 7},
        {"value_base64": "%"},
        {"key": 7},
    ],
)
def test_a_bad_recorded_line_is_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A line that looks recorded and is not is one sentence with its file and number."""
    line = json.loads(write_line(raw(leg("b1")), 0)) | changes
    bad = json.dumps({name: value for name, value in line.items() if value is not None})
    folder = folder_of(tmp_path, write_line(raw(leg("b1")), 0), bad)
    with pytest.raises(ConfigError, match=r"dealer\.transactions\.jsonl, line 2: not a recorded message .*; it needs"):
        read(folder)


def test_a_folder_without_topics_is_one_sentence(tmp_path: Path) -> None:
    """An empty folder, or one that is not there, says what a recorded topic is called and how to make one."""
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match=r"holds no recorded topic such as .*ballast demo --record"):
            read_folder(folder, [LEGS])


def test_topics_without_a_file_are_empty(tmp_path: Path) -> None:
    """Every partition of every wanted topic is there, with messages or without."""
    recorded = read_folder(
        folder_of(tmp_path, write_line(raw(tick()), 0), topic="market.ticks"), [LEGS, topics.MARKET_TICKS]
    )
    assert {(LEGS.name, n): 0 for n in range(4)} | {("market.ticks", 0): 1} == {k: len(m) for k, m in recorded.items()}


# The source.


def tape(*times: int) -> list[RawMessage]:
    """Messages at these times."""
    return [RawMessage(offset, at_ms, None, b"%d" % offset) for offset, at_ms in enumerate(times)]


def opened(messages: list[RawMessage], batch_size: int = 2, resume: int | None = None, crash_at: int | None = None) -> Any:
    """The only partition of a source over these messages."""
    source = RecordedSource({("t", 0): messages}, batch_size, crash_at)
    assert ["t/0"] == source.list_parts()
    return source.build_part("topics", "t/0", resume)


def to_end(reading: Any) -> list[RawBatch]:
    """All batches of a tape."""
    batches: list[RawBatch] = []
    while True:
        try:
            batches += reading.next_batch()
        except StopIteration:
            return batches


def test_a_tape_is_read_to_its_end_and_then_for_ever() -> None:
    """Batches in order, each with the time it has reached; the last says that nothing more comes."""
    batches = to_end(opened(tape(5, 6, 9)))
    assert [([b"0", b"1"], 6), ([b"2"], FOREVER_MS)] == [
        ([message.value for message in batch.messages], batch.watermark_ms) for batch in batches
    ]


def test_an_empty_tape_ends_at_once() -> None:
    """A topic without messages holds nobody back."""
    assert [RawBatch("t", 0, FOREVER_MS, [])] == to_end(opened([]))


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(1, 5), st.integers(0, 12))
def test_a_tape_goes_on_from_a_snapshot(times: list[int], batch_size: int, batches: int) -> None:
    """Stopped after any batch and opened again, a tape gives every message once, and time never goes back."""
    reading = opened(tape(*times), batch_size)
    before: list[RawBatch] = []
    for _ in range(min(batches, len(times) // batch_size)):
        before += reading.next_batch()
    after = to_end(opened(tape(*times), batch_size, reading.snapshot()))
    messages = [message for batch in [*before, *after] for message in batch.messages]
    assert list(range(len(times))) == [message.offset for message in messages]
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(messages))
    assert all(message.at_ms <= batch.watermark_ms for batch in [*before, *after] for message in batch.messages)


def test_a_tape_can_crash() -> None:
    """From the message on that a test names, reading ends as a crash does: without a snapshot."""
    reading = opened(tape(1, 2, 3, 4), batch_size=1, crash_at=2)
    assert [0, 1] == [message.offset for _ in range(2) for batch in reading.next_batch() for message in batch.messages]
    with pytest.raises(AbortExecution):
        reading.next_batch()


def test_a_real_clock_is_not_needed() -> None:
    """What is recorded stays as it is, however long ago it was."""
    assert [START_MS] == [message.at_ms for batch in to_end(opened([raw(leg("b1"))])) for message in batch.messages]
