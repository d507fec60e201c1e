"""The books of an archive: each batch once whatever dies when, in moments that have everything or are not there."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest

from domain.errors import ConfigError
from sinks.archive import moments as room
from sinks.archive.moments import KEPT_WHOLE, OF_BATCHES, WHOLE, Moments, check_ledger, dotted, moments
from sinks.archive.parquet import duck
from sinks.archive.tables import LEDGER
from sinks.ledger.export import cells
from sinks.postgres import connect
from tests.domain.ledger.ledger_workloads import CASH, USER, moved
from tests.sinks.ledger.checks import Open
from tests.sinks.ledger.product import tell_product
from tests.words import START_MS

pytestmark = pytest.mark.postgres

PLACE = ("alerts", 0)

Follow = Callable[..., int]


@contextmanager
def following(
    dsn: str, folder: Path, clock: Iterator[int], ends: Callable[[], dict[tuple[str, int], int]] = dict
) -> Iterator[Follow]:
    """What keeps the books of an archive; what waits at the end is lost, as when it is killed. Topics have no messages, or end
    where they are told to."""
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    books = Moments(dsn, folder, "closest", lambda: next(clock), ends, unfinished)
    try:
        with duck(unfinished) as opened:
            yield lambda next_offset=0: books.follow(opened, {PLACE: next_offset})
    finally:
        books.close()


def rows(folder: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of a table over all moments."""
    files = [str(path) for path in (folder / "books").rglob(f"{table}.parquet")]
    return duckdb.execute(f"SELECT {columns} FROM read_parquet(?)", [files]).fetchall() if files else []  # noqa: S608


def assert_has_all(dsn: str, folder: Path) -> None:
    """Every row of the ledger is in one moment, and the newest has all of what is of no batch, as Postgres has it now."""
    with connect(dsn, "reader", "test") as connection:
        for kept in (*OF_BATCHES, *WHOLE):
            assert kept.table is not None
            there = [moments(folder)[-1]] if kept in WHOLE else moments(folder)
            files = [str(path) for one in there for path in one.glob(f"{dotted(kept)}.parquet")]
            expected = cells(connection, kept.table)
            found = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [files]).fetchall() if files else [(0,)]
            assert [(len(expected),)] == found, kept.folder


def test_a_ledger_is_followed_batch_by_batch(dsn: str, tmp_path: Path, open_ledger: Open) -> None:
    """Whatever was booked between, each batch is in one moment, and a moment without batches has none."""
    ledger, clock = open_ledger(), count(START_MS)
    with following(dsn, tmp_path, clock) as follow:
        for number in range(4):
            ledger.post([moved(number, CASH, USER, 100)])
            follow()
        follow()
        follow()
    assert_has_all(dsn, tmp_path)
    assert [(n,) for n in range(1, 5)] == sorted(rows(tmp_path, "ledger.batch", "batch_id"))


def test_every_table_of_a_product_is_kept(dsn: str, tmp_path: Path) -> None:
    """Also when those who follow come and go, and lose what waited."""
    tell_product(dsn)
    clock = count(START_MS)
    for _ in range(3):
        with following(dsn, tmp_path, clock) as follow:
            follow()
            follow()
    assert_has_all(dsn, tmp_path)
    assert all(rows(tmp_path, dotted(kept)) for kept in LEDGER if not kept.folder.endswith("closed_period"))


@pytest.mark.parametrize("before", [True, False])
def test_a_moment_is_there_whole_or_not_at_all(dsn: str, tmp_path: Path, open_ledger: Open, before: bool) -> None:
    """Killed before a moment is moved to its place, or right after it, the next one goes on so that each batch is there once."""
    ledger, clock, real = open_ledger(), count(START_MS), room.moved

    def killed(beside: Path, path: Path) -> None:
        if not before:
            real(beside, path)
        raise KeyboardInterrupt

    for number in range(3):
        ledger.post([moved(number, CASH, USER, 100)])
        with following(dsn, tmp_path, clock) as follow, patch.object(room, "moved", killed):
            follow()
            with pytest.raises(KeyboardInterrupt):
                follow()
        assert (0 if before else number + 1) == len(rows(tmp_path, "ledger.batch"))
    with following(dsn, tmp_path, clock) as follow:
        follow()
        follow()
    assert_has_all(dsn, tmp_path)
    assert min(KEPT_WHOLE, len(moments(tmp_path))) == len([*(tmp_path / "books").rglob("ledger.account.parquet")])


def test_a_batch_that_is_committed_after_a_later_number_is_kept(dsn: str, tmp_path: Path, open_ledger: Open) -> None:
    """Numbers are drawn before the commit, so of two shards the lower one may come later; it comes into a later moment."""
    slow, quick = open_ledger(shard=0), open_ledger(shard=1)
    for number, ledger in enumerate([slow, slow, quick]):
        ledger.post([moved(number, CASH, USER, 100)])
    real = Moments._new
    with following(dsn, tmp_path, count(START_MS)) as follow:
        with patch.object(Moments, "_new", lambda books, lasts: [n for n in real(books, lasts) if n != 2]):
            follow()
        follow()
        assert [(1, 0), (3, 1)] == sorted(rows(tmp_path, "ledger.batch", "batch_id, shard"))
        follow()
        assert [(1, 0), (2, 0), (3, 1)] == sorted(rows(tmp_path, "ledger.batch", "batch_id, shard"))
    assert_has_all(dsn, tmp_path)


def test_a_moment_waits_for_the_messages_before_it(dsn: str, tmp_path: Path, open_ledger: Open) -> None:
    """It is not there before the last message that a partition had then is kept, however late that comes to who reads; until
    when everything is kept is told by the moments that are there."""
    open_ledger().post([moved(1, CASH, USER, 100)])
    with following(dsn, tmp_path, count(START_MS), lambda: {PLACE: 7}) as follow:
        for next_offset, expected in ((0, 0), (7, 0), (0, 0), (8, 1)):
            until_ms = follow(next_offset)
            assert (expected, START_MS if expected else -1) == (len(moments(tmp_path)), until_ms)


def test_a_folder_is_of_one_ledger(dsn: str, tmp_path: Path, open_ledger: Open) -> None:
    """What another ledger has is not written beside it; one that has no accounts yet has no name, and is waited for."""
    with following(dsn, tmp_path, count(START_MS)) as follow:
        follow()
        assert not (tmp_path / "archive.json").exists()
        open_ledger()
        follow()
        assert (tmp_path / "archive.json").exists()
        check_ledger(tmp_path, json.loads((tmp_path / "archive.json").read_text())["database"], "first")
        with pytest.raises(ConfigError, match=r"is the archive of another ledger; set archive.folder"):
            check_ledger(tmp_path, "another", "closest")


def test_no_column_passes_through_a_float(dsn: str, tmp_path: Path) -> None:
    """The files of a moment have the columns of a snapshot, each of one of its types."""
    tell_product(dsn)
    with following(dsn, tmp_path, count(START_MS)) as follow:
        follow()
        follow()
    for kept in (*OF_BATCHES, *WHOLE):
        for path in (tmp_path / "books").rglob(f"{dotted(kept)}.parquet"):
            found = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            assert [(one.name, one.type.replace(" ", "")) for one in kept.columns] == [(n, kind) for n, kind, *_ in found]
