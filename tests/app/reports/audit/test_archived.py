"""An archive that goes on is judged as a snapshot is: by the same checks, over the same rows."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest

from app.reports.audit.judge import audit_folder
from domain.errors import ConfigError
from domain.streams.records import RawBatch
from domain.topics import ALL
from sinks.archive import days, keeping, reading
from sinks.archive.days import close_days as closing
from sinks.archive.days import closed_days, forget_days
from sinks.archive.keeping import Keeping
from sinks.archive.lives import lives
from sinks.archive.moments import OF_BATCHES, Moments, moments
from sinks.archive.reading import as_snapshot, is_archive, messages_in
from tests.app.conftest import Ballast
from tests.app.reports.audit.audited import ABOUT, open_books, take_books, topics
from tests.app.surroundings import assert_one_sentence

pytestmark = pytest.mark.postgres

MADE_AT_MS = 1_795_737_600_000
"""When the snapshot of these books says that it was made."""

FOREVER_MS, DAY_MS = 2**42, 86_400_000


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """The DSN of a database with books that are in order."""
    with open_books(server) as dsn:
        yield dsn


def keep(
    dsn: str,
    folder: Path,
    epochs: int = 3,
    times_ms: Sequence[int] = range(MADE_AT_MS, MADE_AT_MS + 2),
    until_ms: int = MADE_AT_MS - 2 * DAY_MS,
) -> None:
    """Keep the topics of these books in some epochs, and then the books at these times but the last, which waits; days until
    `until_ms` are closed."""
    found = lives(folder, {topic.name: f"id of {topic.name}" for topic in ALL})
    clock = iter(times_ms)
    books = partial(Moments, dsn, folder, ABOUT.pairing, lambda: next(clock), dict)
    keeper = Keeping(folder, found, books, bytes_max=0)
    messages = [one for read in topics().values() for one in read()]
    size = len(messages) // epochs + 1
    for start in range(0, len(messages), size):
        keeper.write_batch(
            [RawBatch(topic, number, -1, [message]) for (topic, number), message in messages[start : start + size]]
        )
    with patch.object(
        keeping, "close_days", lambda opened, archive, unfinished, _: closing(opened, archive, unfinished, until_ms)
    ):
        for _ in times_ms:
            keeper.snapshot()
    keeper.close()


@pytest.fixture
def kept(books: str, tmp_path: Path) -> Path:
    """An archive of them."""
    keep(books, tmp_path / "archive")
    return tmp_path / "archive"


def test_an_archive_is_judged_as_a_snapshot_is(books: str, kept: Path, tmp_path: Path) -> None:
    """Every check has the same verdict over as many things as over a snapshot of the same books and topics."""
    as_snapshot(kept, tmp_path / "as")
    taken = audit_folder(take_books(books, tmp_path / "taken"))
    report = audit_folder(tmp_path / "as")
    assert [(one["name"], one["verdict"], one["checked"]) for one in taken["checks"]] == [
        (one["name"], one["verdict"], one["checked"]) for one in report["checks"]
    ]
    assert ("pass", "archive") == (report["verdict"], report["kind"])


def test_an_archive_and_a_snapshot_have_the_same_messages(books: str, kept: Path, tmp_path: Path) -> None:
    """Of every topic that is asked for, each byte under its offset, as whoever replays them reads them."""
    told = {
        key: [message for _, message in pair] for read in topics().values() for key, pair in groupby(read(), itemgetter(0))
    }
    asked = ["dealer.transactions", "venue.fills", "alerts"]
    assert {key: messages for key, messages in told.items() if key[0] in asked} == messages_in(kept, asked)
    assert messages_in(take_books(books, tmp_path / "taken"), asked) == messages_in(kept, asked)


def test_a_file_that_was_taken_away_from_between_two_is_found(books: str, tmp_path: Path) -> None:
    """It is a breach, by partition and offset, though no manifest tells of it."""
    keep(books, tmp_path / "archive", epochs=100)
    (life,) = (tmp_path / "archive" / "topics" / "dealer.transactions").iterdir()
    files = sorted(life.rglob("0-*.parquet"), key=lambda path: int(path.stem.split("-")[1]))
    assert 2 < len(files)
    files[1].unlink()
    as_snapshot(tmp_path / "archive", tmp_path / "as")
    broken = {one["name"]: one["rows"] for one in audit_folder(tmp_path / "as")["checks"] if one["verdict"] == "breach"}
    first, last = (int(files[1].stem.split("-")[number]) for number in (1, 2))
    row = {"topic": "dealer.transactions", "partition": 0, "expected": first, "found": last + 1}
    assert [row] == broken["I1_offsets_have_no_holes"]


def test_days_that_are_over_are_few_files_that_a_manifest_binds(books: str, tmp_path: Path, ballast: Ballast) -> None:
    """A day is closed when the two newest moments are later; its files are judged as they were, and none may be changed."""
    archive = tmp_path / "archive"
    keep(books, archive, 20, [MADE_AT_MS - DAY_MS, *range(MADE_AT_MS, MADE_AT_MS + 3)], FOREVER_MS)
    assert ["2023-11-14", "2026-11-25", "2026-11-26"] == sorted(closed_days(archive))
    made = [*archive.glob("topics/dealer.transactions/*/2026-11-25"), *archive.glob("books/2026-11-26/*")]
    assert [4, len(OF_BATCHES)] == [len([*day.iterdir()]) for day in made]
    taken = audit_folder(take_books(books, tmp_path / "taken"))
    report = ballast("audit", str(archive), "--json").json()
    assert [(one["name"], one["verdict"], one["checked"]) for one in taken["checks"]] == [
        (one["name"], one["verdict"], one["checked"]) for one in report["checks"]
    ]
    assert "2026-11-26" == report["closed"]


def test_messages_that_were_taken_away_are_no_breach(books: str, tmp_path: Path, ballast: Ballast) -> None:
    """An archive that keeps passing facts for some days passes its audit, which says from which day on it has them."""
    archive = tmp_path / "archive"
    with patch.object(days, "_merge_messages"):
        keep(books, archive, 80, [MADE_AT_MS - DAY_MS, *range(MADE_AT_MS, MADE_AT_MS + 3)], FOREVER_MS)
    passing, lasting = (archive / "topics" / name for name in ("venue.positions", "dealer.transactions"))
    before = [len([*topic.glob("*/2026-11-25/*")]) for topic in (passing, lasting)]
    forget_days(archive, 1, MADE_AT_MS)
    assert [1, before[1]] == [len([*topic.glob("*/2026-11-25/*")]) for topic in (passing, lasting)]
    assert 1 < before[0]
    said = ballast("audit", str(archive))
    assert 0 == said.code, said.out
    only = "with prices, positions, balances and alerts since 2026-11-26 only"
    assert f"bound by manifests until 2026-11-26, {only}, up to" in said.out


def test_an_archive_that_goes_on_meanwhile_is_looked_at_again(kept: Path, tmp_path: Path) -> None:
    """Where a moment is gone before its files are linked, since newer ones have come, the newest is taken; one of which a file is
    lost for good is one sentence."""
    (newest,), real = moments(kept)[-1:], reading._place
    later = newest.with_name(f"{int(newest.name) + 1}")

    def place(one: reading.Placed, path: Path) -> None:
        if newest.exists():
            newest.rename(later)
        real(one, path)

    with patch.object(reading, "_place", place):
        as_snapshot(kept, tmp_path / "as")
    assert "pass" == audit_folder(tmp_path / "as")["verdict"]
    (later / "treasury.decision.parquet").unlink()
    with pytest.raises(ConfigError, match=r"treasury.decision.parquet cannot be read as Parquet: .*; bring it back"):
        as_snapshot(kept, tmp_path / "without")


def test_an_archive_says_what_it_has(kept: Path, ballast: Ballast) -> None:
    """How far each partition is kept, until when everything is, and what a trade takes; a folder that is none is one sentence."""
    report = ballast("archive", "status", str(kept), "--json").json()
    told = {
        key: [message.offset for _, message in pair]
        for read in topics().values()
        for key, pair in groupby(read(), itemgetter(0))
    }
    found = {(one["topic"], one["partition"]): (one["first"], one["last"]) for one in report["partitions"]}
    assert {key: (offsets[0], offsets[-1]) for key, offsets in told.items()} == found
    assert ("2026-11-27T00:00:00Z", "2023-11-14") == (report["moment"], report["closed"])
    assert (
        0 < report["trades"] * report["bytes_per_trade"] <= 2 * sum(path.stat().st_size for path in kept.rglob("*.parquet"))
    )
    said = ballast("archive", "status", str(kept))
    assert f"bytes per trade: {report['bytes_per_trade']}" in said.out.splitlines()
    assert_one_sentence(ballast("archive", "status", str(kept / "topics")), "topics is no archive that goes on")


def cut_off(folder: Path) -> str:
    path = next(iter(sorted(folder.rglob("ledger.entry.parquet"))))
    path.write_bytes(path.read_bytes()[:-100])
    return "ledger.entry.parquet cannot be read as Parquet"


def no_moment(folder: Path) -> str:
    (folder / "books").rename(folder / "elsewhere")
    return "has no moment of the books yet; let this run for a while: ballast run archive"


def two_ledgers(folder: Path) -> str:
    (moment,) = moments(folder)
    changes = str(moment / "ledger.account_change.parquet")
    query = "COPY (SELECT * REPLACE (md5(hash) AS hash) FROM read_parquet(?)) TO '{}' (FORMAT parquet)"
    duckdb.execute(query.format(changes + ".new"), [changes])
    Path(changes + ".new").replace(changes)
    return f"{moment.name} is of another ledger than archive.json: two archives are in one folder"


def a_strange_file(folder: Path) -> str:
    (life,) = folder.glob("topics/alerts/*")
    (life / "2026-11-25").mkdir(exist_ok=True)
    (life / "2026-11-25" / "copy of mine.parquet").write_bytes(b"")
    return "copy of mine.parquet is nothing that an archive has"


def a_strange_moment(folder: Path) -> str:
    next(folder.glob("books/*")).joinpath("mine").mkdir()
    return "mine is nothing that an archive has"


def whose(folder: Path) -> str:
    (folder / "archive.json").write_text('{"kind": "archive"}')
    return "archive.json does not say what an archive says"


def a_message_file_cut_off(folder: Path) -> str:
    path = next(folder.glob("topics/dealer.transactions/*/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    return f"{path.name} cannot be read as Parquet"


@pytest.mark.parametrize(
    "spoil", [cut_off, no_moment, two_ledgers, a_strange_file, a_strange_moment, whose, a_message_file_cut_off]
)
def test_an_archive_that_cannot_be_read_is_one_sentence(ballast: Ballast, kept: Path, spoil: Callable[[Path], str]) -> None:
    """It names the file, and nothing of the archive is judged."""
    said = spoil(kept)
    assert_one_sentence(ballast("audit", str(kept)), said)


def test_an_archive_is_judged_from_the_command_line(ballast: Ballast, kept: Path, tmp_path: Path) -> None:
    """The verdict says until when it goes, and until when manifests bind it; with `--json` the folder that was named."""
    assert is_archive(kept)
    said = ballast("audit", str(kept), "--html", str(tmp_path / "page.html"))
    assert 0 == said.code, said.out
    assert "pass: an archive, bound by manifests until 2023-11-14, up to 2026-11-27T00:00:00" in said.out
    assert (tmp_path / "page.html").stat().st_size > 0
    report = json.loads(ballast("audit", str(kept), "--json").out)
    assert (str(kept), "archive") == (report["folder"], report["kind"])
