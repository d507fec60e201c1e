"""Days that are over: few files, each row in one of them whatever dies when, and a manifest that misses what is gone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ConfigError
from domain.streams.records import RawMessage
from sinks.archive import days
from sinks.archive.days import check_days, close_days, closed_days, forget_days, messages_since, sweep
from sinks.archive.lives import files, lives, places
from sinks.archive.moments import check_ledger, moments
from sinks.archive.parquet import duck
from sinks.archive.reading import as_snapshot
from tests.domain.ledger.ledger_workloads import CASH, USER, moved
from tests.sinks.archive.test_keeping import HOUR_MS, IDS, KEYS, KilledError, Tape, expected, holes, opened, put, rows, tapes
from tests.sinks.archive.test_moments import assert_has_all, following
from tests.sinks.ledger.checks import Open
from tests.words import START_MS

FOREVER_MS = 2**42


def close(folder: Path) -> None:
    """Close every day that is over at the end of time, as the next process does."""
    unfinished = folder / "unfinished"
    sweep(folder)
    for path in unfinished.glob("*/*"):
        path.unlink()
    with duck(unfinished) as one:
        close_days(one, folder, unfinished, FOREVER_MS)


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Die at a step of closing days: before a move, right after it, or before something is taken away."""
    steps, real_move, real_unlink = count(), days.moved, Path.unlink

    def live() -> None:
        if next(steps) == step:
            raise KilledError

    def move(beside: Path, path: Path) -> None:
        live()
        real_move(beside, path)
        live()

    def unlink(path: Path, missing_ok: bool = False) -> None:
        live()
        real_unlink(path, missing_ok)

    with patch.object(days, "moved", move), patch.object(Path, "unlink", unlink):
        yield


def kept(folder: Path, found: dict[tuple[str, int], Tape]) -> None:
    """Keep messages in small files, of a ledger."""
    check_ledger(folder, "ledger", "closest")
    for begin in range(0, 12, 2):
        with opened(folder) as keeper:
            put(keeper, found, begin, begin + 2, 1)
            keeper.snapshot()


@settings(max_examples=25)
@given(tapes(), st.lists(st.integers(0, 30), max_size=3))
def test_closing_loses_no_row_and_makes_none_twice(found: dict[tuple[str, int], Tape], kills: list[int]) -> None:
    """Killed at any step, what counts is every message once; and the end is as if nobody had been killed."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "archive"
        folder.mkdir()
        kept(folder, found)
        told = holes(folder) if rows(folder) else []
        for step in kills:
            with killed_at(step), suppress(KilledError):
                close(folder)
            there = [len(tape) for tape in found.values()]
            assert sum(there) == sum(counted(path) for life in lives(folder, IDS).values() for _, path in files(life))
        close(folder)
        assert expected(found) == rows(folder)
        assert sorted(told) == (sorted(holes(folder)) if rows(folder) else [])
        assert closed_days(folder) == {path.parent.name for path in folder.glob("topics/*/*/*/*.parquet")}
        assert (max(closed_days(folder)) if closed_days(folder) else None) == check_days(folder)


def counted(path: Path) -> int:
    """How many rows a file has."""
    with duck(path.parent) as one:
        return days.rows_in(one, path)


def test_a_day_has_one_file_for_messages_that_follow_each_other(tmp_path: Path) -> None:
    """Over a hole too; where a message of another day is in between there are two."""
    hours = [0, 1, 1, 30, 1, 1]
    tape = [RawMessage(n, START_MS + hour * HOUR_MS, None, b"x") for n, hour in zip([0, 1, 5, 6, 7, 8], hours, strict=True)]
    kept(tmp_path, {("alerts", 0): tape})
    close(tmp_path)
    assert ["0-0-5.parquet", "0-6-6.parquet", "0-7-8.parquet"] == sorted(path.name for path in tmp_path.rglob("*.parquet"))
    assert [(2, 4)] == holes(tmp_path)


@pytest.mark.postgres
@pytest.mark.parametrize("step", range(0, 12, 2))
def test_moments_of_a_day_become_one(dsn: str, tmp_path: Path, open_ledger: Open, step: int) -> None:
    """Each batch is in one moment that counts, also when it dies on the way; the two newest moments stay as they are."""
    ledger, clock = open_ledger(), count(START_MS, 4 * HOUR_MS)
    with following(dsn, tmp_path, clock) as follow:
        for number in range(14):
            ledger.post([moved(number, CASH, USER, 100)])
            follow()
        follow()
    with killed_at(step), suppress(KilledError):
        close(tmp_path)
    assert_has_all(dsn, tmp_path)
    close(tmp_path)
    assert_has_all(dsn, tmp_path)
    assert ["2023-11-14", "2023-11-15", "2023-11-16"][: len(closed_days(tmp_path))] == sorted(closed_days(tmp_path))
    assert {1} == {len([*(tmp_path / "books" / day).iterdir()]) for day in closed_days(tmp_path)}
    assert 14 > len(moments(tmp_path))
    manifest = json.loads((tmp_path / "days" / "2023-11-15.json").read_text())
    assert manifest["sums"][0]["debits"] == manifest["sums"][0]["credits"] != "0"


def gone(folder: Path) -> str:
    next(folder.glob("topics/alerts/*/2023-11-15/*")).unlink()
    return r"is in 2023-11-15.json and cannot be read: No such file"


def cut_off(folder: Path) -> str:
    path = next(folder.glob("topics/alerts/*/2023-11-15/*"))
    path.write_bytes(path.read_bytes()[:-1])
    return r"bytes by 2023-11-15.json|by 2023-11-15.json: it was cut off"


def flipped(folder: Path) -> str:
    path = next(folder.glob("topics/alerts/*/2023-11-15/*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return r"was changed: its SHA-256 is not that of 2023-11-15.json"


def missing_day(folder: Path) -> str:
    (folder / "days" / "2023-11-15.json").unlink()
    return r"2023-11-16.json follows another manifest than 2023-11-14.json"


def other_manifest(folder: Path) -> str:
    path = folder / "days" / "2023-11-14.json"
    path.write_text(path.read_text() + "\n")
    return r"2023-11-15.json follows another manifest than 2023-11-14.json"


def of_another_ledger(folder: Path) -> str:
    path = folder / "days" / "2023-11-14.json"
    path.write_text(path.read_text().replace('"database": "ledger"', '"database": "another"'))
    return r"2023-11-14.json is of another ledger than archive.json: two archives are in one folder"


def no_json(folder: Path) -> str:
    path = folder / "days" / "2023-11-16.json"
    path.write_text(path.read_text()[:-20])
    return r"2023-11-16.json cannot be read as JSON"


def no_manifest(folder: Path) -> str:
    path = folder / "days" / "2023-11-14.json"
    path.write_text('{"day": "2023-11-14", "database": "ledger", "before": null, "files": [{"path": "x"}]}')
    return r"2023-11-14.json does not say of each file what a manifest says"


@pytest.mark.parametrize(
    "spoil", [gone, cut_off, flipped, missing_day, other_manifest, of_another_ledger, no_json, no_manifest]
)
def test_what_is_not_as_it_was_closed_is_refused(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    """One sentence names the file and the manifest that it contradicts."""
    tape = [RawMessage(n, START_MS + n * 12 * HOUR_MS, None, b"%d" % n * 50) for n in range(6)]
    kept(tmp_path, {("alerts", 0): tape})
    close(tmp_path)
    assert check_days(tmp_path)
    with pytest.raises(ConfigError, match=spoil(tmp_path)):
        check_days(tmp_path)


def test_a_day_that_is_not_over_stays_open(tmp_path: Path) -> None:
    """Until every message before its end is kept nothing of it is touched."""
    kept(tmp_path, {("alerts", 0): [RawMessage(n, START_MS + n, None, b"x") for n in range(4)]})
    before = sorted(tmp_path.rglob("*.parquet"))
    with duck(tmp_path / "unfinished") as one:
        for until_ms in (-1, START_MS, START_MS - START_MS % (24 * HOUR_MS) + 24 * HOUR_MS - 1):
            close_days(one, tmp_path, tmp_path / "unfinished", until_ms)
    assert before == sorted(tmp_path.rglob("*.parquet"))
    with pytest.raises(ConfigError, match="has no moment of the books yet"):
        as_snapshot(tmp_path, tmp_path / "as")


@settings(max_examples=25)
@given(tapes(), st.integers(1, 5))
def test_what_is_forgotten_is_the_oldest(found: dict[tuple[str, int], Tape], keep_days: int) -> None:
    """What is left of each partition is its end, with its last file at least; reading goes on where it did, nothing of later days
    and nothing of a topic that a broker has for ever is gone, and the manifests find nothing missing."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "archive"
        folder.mkdir()
        kept(folder, found)
        close(folder)
        before, places_before = rows(folder), places(lives(folder, IDS))
        until_ms = START_MS + 72 * HOUR_MS
        forget_days(folder, keep_days, until_ms)
        assert places_before == places(lives(folder, IDS))
        since_ms = until_ms - until_ms % (24 * HOUR_MS) - keep_days * 24 * HOUR_MS
        left, gone = rows(folder), [row for row in before if row not in rows(folder)]
        assert all(row[3] < since_ms and row[0] != "legs.waiting" for row in gone)
        for topic, partition in KEYS:
            ours = [row for row in before if row[:2] == (topic, partition)]
            assert ours[len(ours) - sum(row[:2] == (topic, partition) for row in left) :] == [
                row for row in left if row[:2] == (topic, partition)
            ]
        assert (max(closed_days(folder)) if closed_days(folder) else None) == check_days(folder)
        assert bool(gone) == (messages_since(folder) is not None)


def test_what_was_kept_too_long_is_still_bound(tmp_path: Path) -> None:
    """Messages may be gone of days before the one that the folder names; one that is gone of a later day is refused."""
    tape = [RawMessage(n, START_MS + n * 24 * HOUR_MS, None, b"%d" % n * 50) for n in range(6)]
    kept(tmp_path, {("alerts", 0): tape})
    close(tmp_path)
    forget_days(tmp_path, 2, START_MS + 5 * 24 * HOUR_MS)
    assert [3, 4, 5] == [row[2] for row in rows(tmp_path)]
    assert ("2023-11-17", "2023-11-19") == (messages_since(tmp_path), check_days(tmp_path))
    next(tmp_path.glob("topics/alerts/*/2023-11-17/*")).unlink()
    with pytest.raises(ConfigError, match=r"is in 2023-11-17.json and cannot be read"):
        check_days(tmp_path)
