"""Whatever comes in whatever cuts, and whenever a process dies: an archive has each offset once, with its bytes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from bytewax.testing import run_main
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.recorded import RecordedSource
from domain.errors import AwayError, ConfigError
from domain.streams.records import RawBatch, RawMessage
from flows import archive
from flows.edges import Edges
from sinks.archive import keeping
from sinks.archive.keeping import UNFINISHED, Keeper, Keeping
from sinks.archive.lives import lives, next_offsets, places
from sinks.archive.tables import MESSAGES
from sinks.memory import ListSink
from tests.words import START_MS

IDS = {"alerts": "AaIp+w/PdYGvz8TPg1MQcw", "legs.waiting": "5L6g3nShT-eMCtK__X86sw"}
KEYS = [("alerts", 0), ("alerts", 1), ("legs.waiting", 0)]
HOUR_MS = 3_600_000

Tape = list[RawMessage]


class KilledError(Exception):
    """What a process that is killed would not even raise."""


@st.composite
def tapes(draw: st.DrawFn) -> dict[tuple[str, int], Tape]:
    """Messages of any bytes, with holes between them, over some days; clocks of producers may go back."""
    found: dict[tuple[str, int], Tape] = {}
    for key in KEYS:
        offset, tape = draw(st.integers(0, 3)), Tape()
        for step, hours, name, value in draw(
            st.lists(
                st.tuples(
                    st.sampled_from([1, 1, 1, 2, 5]), st.integers(0, 72), st.none() | st.binary(max_size=3), st.binary()
                ),
                max_size=12,
            )
        ):
            tape.append(RawMessage(offset, START_MS + hours * HOUR_MS, name, value))
            offset += step
        found[key] = tape
    return found


@contextmanager
def opened(folder: Path, ids: dict[str, str] = IDS, bytes_max: int = 10_000) -> Iterator[Keeping]:
    """The one writer of a folder; what it has not made files of is lost at the end, as when it is killed."""
    keeper = Keeping(folder, lives(folder, ids), None, bytes_max)
    try:
        yield keeper
    finally:
        keeper.close()


def rows(folder: Path, columns: str = 'topic, partition, "offset", at_ms, key, value') -> list[tuple[Any, ...]]:
    """What anybody reads of an archive, in the order of offsets."""
    query = f"SELECT {columns} FROM read_parquet('{folder}/topics/**/*.parquet') ORDER BY topic, partition, \"offset\""  # noqa: S608
    return duckdb.execute(query).fetchall() if [*folder.rglob("topics/**/*.parquet")] else []


def expected(found: dict[tuple[str, int], Tape]) -> list[tuple[Any, ...]]:
    """What there should be to read."""
    return [(*key, *message) for key in sorted(found) for message in found[key]]


def holes(folder: Path) -> list[tuple[int, int]]:
    """All holes that files tell of."""
    query = f"SELECT decode(value) FROM parquet_kv_metadata('{folder}/topics/**/*.parquet') WHERE decode(key) = 'holes'"  # noqa: S608
    return [tuple(hole) for (said,) in duckdb.execute(query).fetchall() for hole in json.loads(said)]


def put(keeper: Keeping, found: dict[tuple[str, int], Tape], begin: int, end: int, cut: int) -> None:
    """Hand on some messages of each partition in batches, the partitions in turn."""
    for start in range(begin, end, cut):
        keeper.write_batch(
            [RawBatch(topic, number, 0, tape[start : min(end, start + cut)]) for (topic, number), tape in found.items()]
        )


@contextmanager
def killed_after(moves: int) -> Iterator[None]:
    """Die at a move of a file: before it where the number is even, and right after it where it is odd."""
    real, made = keeping.moved, 0

    def move(beside: Path, path: Path) -> None:
        nonlocal made
        made += 1
        if made > moves // 2 and moves % 2 == 0:
            raise KilledError
        real(beside, path)
        if made > moves // 2:
            raise KilledError

    with patch.object(keeping, "moved", move):
        yield


@settings(max_examples=40)
@given(
    found=tapes(),
    lifetimes=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5), st.integers(0, 9), st.booleans()), max_size=4),
    bytes_max=st.sampled_from([0, 300, 10_000]),
)
def test_every_offset_is_kept_once_whenever_it_dies(
    found: dict[tuple[str, int], Tape], lifetimes: Sequence[tuple[int, int, int, bool]], bytes_max: int
) -> None:
    """Processes that die at any move of a file, or with messages that wait, and those after them that read all of it again
    or go on from where the folder ends: together they keep every message once, with its bytes."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "archive"
        for end, cut, moves, ends_epoch in lifetimes:
            with opened(folder, bytes_max=bytes_max) as keeper, killed_after(moves):
                try:
                    put(keeper, found, 0, end, cut)
                    if ends_epoch:
                        keeper.snapshot()
                except KilledError:
                    continue
        begun = places(lives(folder, IDS))
        rest = {
            key: [message for message in tape if message.offset >= begun.get(f"{key[0]}/{key[1]}", 0)]
            for key, tape in found.items()
        }
        with opened(folder, bytes_max=bytes_max) as keeper:
            put(keeper, rest, 0, 100, 7)
            keeper.snapshot()
        assert expected(found) == rows(folder)


@settings(max_examples=20)
@given(tapes())
def test_every_hole_is_told(found: dict[tuple[str, int], Tape]) -> None:
    """Offsets between messages under which there was none are in the files, also those between two files."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "archive"
        for begin in range(0, 12, 3):
            with opened(folder) as keeper:
                put(keeper, found, begin, begin + 3, 2)
                keeper.snapshot()
        lacking = [
            (one.offset + 1, after.offset - 1)
            for tape in found.values()
            for one, after in pairwise(tape)
            if after.offset > one.offset + 1
        ]
        assert sorted(lacking) == (sorted(holes(folder)) if rows(folder) else [])


def test_a_file_is_named_by_its_day_and_its_offsets(tmp_path: Path) -> None:
    """The day is that of the broker's time in UTC; a message of the day before, after midnight, gets a file of its own."""
    midnight = START_MS - START_MS % (24 * HOUR_MS) + 24 * HOUR_MS
    tape = [
        RawMessage(n, at_ms, None, b"x") for n, at_ms in enumerate([midnight - 1, midnight, midnight - 1, midnight + 1], 7)
    ]
    with opened(tmp_path) as keeper:
        put(keeper, {("alerts", 1): tape}, 0, 4, 4)
        keeper.snapshot()
    names = [str(path.relative_to(tmp_path / "topics")) for path in sorted(tmp_path.rglob("*.parquet"))]
    life = "alerts/0001-AaIp-w_PdYGvz8TPg1MQcw"
    assert [
        f"{life}/2023-11-14/1-7-7.parquet",
        f"{life}/2023-11-14/1-9-9.parquet",
        f"{life}/2023-11-15/1-10-10.parquet",
        f"{life}/2023-11-15/1-8-8.parquet",
    ] == names


def test_files_have_the_columns_of_a_snapshot(tmp_path: Path) -> None:
    """Names and types of each column are those by which whoever audits reads."""
    with opened(tmp_path) as keeper:
        put(keeper, {("alerts", 0): [RawMessage(0, START_MS, None, b"x")]}, 0, 1, 1)
        keeper.snapshot()
    (path,) = tmp_path.rglob("*.parquet")
    found = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    assert [(one.name, one.type) for one in MESSAGES.columns] == [(name, kind) for name, kind, *_ in found]


def test_another_life_of_a_topic_is_kept_apart(tmp_path: Path) -> None:
    """Where a broker begins again at offset 0 nothing is taken for what was kept before; who reads gets both."""
    for topic_id, value in (("first", b"1"), ("second", b"2"), ("first", b"1")):
        with opened(tmp_path, IDS | {"alerts": topic_id}) as keeper:
            put(keeper, {("alerts", 0): [RawMessage(0, START_MS, None, value)]}, 0, 1, 1)
            keeper.snapshot()
    assert [(0, b"1"), (0, b"2")] == sorted(rows(tmp_path, '"offset", value'))
    assert ["0001-first", "0002-second"] == sorted(path.name for path in (tmp_path / "topics" / "alerts").iterdir())


def test_a_broker_that_tells_no_ids_is_refused(tmp_path: Path) -> None:
    """It may tell them later, and without them two lives could be mixed."""
    with pytest.raises(AwayError, match="does not tell the id of the topic alerts"):
        lives(tmp_path, {"alerts": None})


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    """A second one is refused by name, and a third after the first has gone is not."""
    with opened(tmp_path), pytest.raises(ConfigError, match="another process writes the archive"), opened(tmp_path):
        pass
    with opened(tmp_path):
        assert {} == next_offsets(tmp_path)


def test_what_a_killed_process_left_half_done_is_swept_out(tmp_path: Path) -> None:
    """Half a file is never where files are looked for, and is gone with the next start."""
    (tmp_path / UNFINISHED).mkdir()
    (tmp_path / UNFINISHED / "0-0-9.parquet").write_bytes(b"PAR1 half")
    with opened(tmp_path) as keeper:
        assert ["0-0-9.parquet"] != [path.name for path in (tmp_path / UNFINISHED).iterdir()]
        keeper.snapshot()
    assert [] == rows(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    """It names the folder, and says what was lost: nothing."""
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(ConfigError, match=r"mine cannot be written to: .*; nothing is lost"), opened(tmp_path / "mine"):
        pass


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_flow_keeps_what_topics_have(tmp_path: Path, batch_size: int) -> None:
    """A run to the end of its tapes makes files of all of it, without any saved state; a second run adds nothing."""
    found = {key: [RawMessage(n, START_MS + n, None, b"%d" % n) for n in range(10)] for key in KEYS}

    def run() -> None:
        nowhere = ListSink([])
        edges = Edges(KEYS, lambda _topics, _most: RecordedSource(found, batch_size), nowhere, nowhere, nowhere, nowhere)
        keeper = Keeper(tmp_path, lives(tmp_path, IDS))
        run_main(archive.flow(edges, archive.Setup(keeper)), epoch_interval=timedelta(0))

    run()
    assert expected(found) == rows(tmp_path)
    made = sorted(tmp_path.rglob("*.parquet"))
    run()
    assert made == sorted(tmp_path.rglob("*.parquet"))
