"""A snapshot has what the database and the topics have, to the last digit and byte, or it is not there."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from domain.errors import ConfigError
from domain.ledger.accounts import CHART
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer
from domain.streams.records import RawMessage
from sinks.archive.manifest import MANIFEST, open_archive
from sinks.archive.snapshot import About, History, take
from sinks.archive.tables import BYTES, KEPT, LEDGER, MESSAGES, TYPES
from sinks.ledger.export import cells
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from tests.domain.ledger.ledger_workloads import posting
from tests.sinks.ledger.product import tell_product
from tests.sinks.ledger.story import as_superuser

pytestmark = pytest.mark.postgres

ABOUT = About("cluster", "2026-01-31T12:00:00Z", "closest")
LARGEST = 10**38 - 1
ODD = [
    RawMessage(3, 1_000, None, b'\x00\xff,"\n\\N'),
    RawMessage(4, 1_001, b"", b""),
    RawMessage(7, 1_002, b"\\N", b"{}"),
]


def told(messages: list[RawMessage]) -> Callable[[], Iterator[tuple[tuple[str, int], RawMessage]]]:
    """What reads these messages of partition 2."""
    return lambda: ((("odd", 2), message) for message in messages)


def rows(folder: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of a table of a snapshot."""
    return duckdb.execute(f"SELECT {columns} FROM read_parquet('{folder}/{table}/*.parquet')").fetchall()  # noqa: S608


def test_every_table_is_there_with_every_row(dsn: str, tmp_path: Path) -> None:
    """Each has as many rows as Postgres copies, the manifest counts them, and the sums are those of all entries."""
    tell_product(dsn)
    take(dsn, {"odd": told(ODD)}, tmp_path / "taken", ABOUT)
    opened = open_archive(tmp_path / "taken")
    counted = {file["path"]: file["rows"] for file in opened.manifest["files"]}
    with connect(dsn, "reader", "test") as connection:
        for kept in KEPT:
            if kept.table is not None:
                expected = len(cells(connection, kept.table))
                assert expected == counted[f"{kept.folder}/all.parquet"] == len(rows(opened.folder, kept.folder))
        query = b"""
            SELECT currency, layer::TEXT, sum(amount * (side + 1) / 2)::NUMERIC(38) FROM ledger.entry
            GROUP BY currency, layer ORDER BY currency, layer
        """
        expected_sums = [(currency, layer, str(debits)) for currency, layer, debits in connection.execute(query)]
    assert expected_sums == [(one["currency"], one["layer"], one["debits"]) for one in opened.manifest["sums"]]
    assert all(counted[f"{kept.folder}/all.parquet"] for kept in LEDGER if not kept.folder.endswith("closed_period"))


def test_what_was_played_is_told(dsn: str, tmp_path: Path) -> None:
    """Of a demo along a price history; of anything else the archive says nothing of it."""
    take(dsn, {}, tmp_path / "played", ABOUT._replace(history=History("2026-01-01T00:00:00Z", 60_000)))
    take(dsn, {}, tmp_path / "taken", ABOUT)
    assert {"first": "2026-01-01T00:00:00Z", "step_ms": 60_000} == open_archive(tmp_path / "played").about["history"]
    assert "history" not in open_archive(tmp_path / "taken").about


def test_no_column_passes_through_a_float(dsn: str, tmp_path: Path) -> None:
    """Every column of every file is of one of the six types, whether the table has rows or not."""
    take(dsn, {"odd": told(ODD)}, tmp_path / "taken", ABOUT)
    for path in (tmp_path / "taken").rglob("*.parquet"):
        found = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        kept = next(one for one in KEPT if path.is_relative_to(tmp_path / "taken" / one.folder))
        assert [(one.name, one.type.replace(" ", "")) for one in kept.columns] == [(name, kind) for name, kind, *_ in found]
        assert {one.replace(" ", "") for one in TYPES} >= {kind for _, kind, *_ in found}


def test_missing_and_empty_stay_apart(dsn: str, tmp_path: Path) -> None:
    """NULL, an empty text, and a text that is spelled as NULL is written, each is what it was; so are line breaks."""
    texts = ["", r"\N", 'quo"ted, and\nbroken\r\n', "ü 🐍"]
    statement = b"""
        INSERT INTO treasury.quarantine (topic, partition, "offset", reason, detail, key, raw)
        VALUES ('t', 0, %(n)s, 'r', %(text)s, %(key)s, %(raw)s)
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number, text in enumerate(texts):
            key = None if number % 2 else text.encode()
            as_superuser(connection, statement, {"n": number, "text": text, "key": key, "raw": text.encode()})
    take(dsn, {}, tmp_path / "taken", ABOUT)
    expected = [(text, None if number % 2 else text.encode(), text.encode()) for number, text in enumerate(texts)]
    assert expected == rows(tmp_path / "taken", "treasury/quarantine", "detail, key, raw")
    accounts = dict(rows(tmp_path / "taken", "ledger/account", "code, parent_id"))
    assert None is accounts.get("ROUNDING")


def test_amounts_are_exact_at_their_limits(dsn: str, tmp_path: Path) -> None:
    """Thirty-eight digits on either side come out as they went in, and so does a shortfall that has more."""
    account = "ROUNDING"
    entries = [Entry(account, "EUR", Layer.SETTLED, side, LARGEST) for side in (DEBIT, CREDIT)]
    beyond = [Entry("ROUNDING", "EUR", Layer.SETTLED, side, 10**39) for side in (DEBIT, CREDIT)]
    with closing(PostgresLedger(dsn, 0, accounts=CHART)) as ledger:
        ledger.post([posting(1, *entries), posting(2, *beyond)])
    take(dsn, {}, tmp_path / "taken", ABOUT)
    assert [(LARGEST, LARGEST), (LARGEST, 0)] == [
        tuple(map(int, row)) for row in rows(tmp_path / "taken", "ledger/entry", "amount, balance_after")
    ]
    assert [("EUR", "1", str(LARGEST), str(LARGEST))] == [
        tuple(one.values()) for one in open_archive(tmp_path / "taken").manifest["sums"]
    ]


def test_messages_are_there_byte_by_byte(dsn: str, tmp_path: Path) -> None:
    """Whatever bytes a key or a value has; a file is named by its partition and offsets, and the manifest tells the holes."""
    take(dsn, {"odd": told(ODD), "empty": told([])}, tmp_path / "taken", ABOUT)
    expected = [(one.offset, one.at_ms, one.key, one.value) for one in ODD]
    assert expected == rows(tmp_path / "taken", "topics/odd", '"offset", at_ms, key, value')
    (file,) = [one for one in open_archive(tmp_path / "taken").manifest["files"] if "odd" in one["path"]]
    assert ("topics/odd/2-3-7.parquet", 3, 7, [[5, 6]]) == tuple(file[name] for name in ("path", "first", "last", "holes"))
    assert BYTES == MESSAGES.columns[-1].type


def test_a_half_snapshot_is_none(dsn: str, tmp_path: Path) -> None:
    """When a topic cannot be read to its end, nothing is left where the snapshot would be, or beside it."""

    def broken() -> Iterator[tuple[tuple[str, int], RawMessage]]:
        yield ("odd", 2), ODD[0]
        msg = "the broker has gone"
        raise ConfigError(msg)

    with pytest.raises(ConfigError, match="has gone"):
        take(dsn, {"odd": broken}, tmp_path / "taken", ABOUT)
    assert [] == list(tmp_path.iterdir())


def test_a_snapshot_is_never_written_over_something(dsn: str, tmp_path: Path) -> None:
    """A folder with something in it is refused by name."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="has something in it; name a new folder"):
        take(dsn, {}, tmp_path, ABOUT)


def cut_off(folder: Path) -> None:
    path = folder / "ledger" / "entry" / "all.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def gone(folder: Path) -> None:
    (folder / "ledger" / "entry" / "all.parquet").unlink()


def flipped(folder: Path) -> None:
    path = folder / "ledger" / "entry" / "all.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another(folder: Path) -> None:
    (folder / "topics" / "odd" / "2-8-9.parquet").write_bytes((folder / "topics" / "none.parquet").read_bytes())


def other_system(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["system"]["database"] = "another"
    (folder / MANIFEST).write_text(json.dumps(manifest))


def newer(folder: Path) -> None:
    about = json.loads((folder / "archive.json").read_text())
    (folder / "archive.json").write_text(json.dumps(about | {"format": 2}))


def other_rule(folder: Path) -> None:
    about = json.loads((folder / "archive.json").read_text())
    (folder / "archive.json").write_text(json.dumps(about | {"pairing": "first"}, indent=1) + "\n")


def no_files(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"files": [{"path": "archive.json"}]}))


def no_json(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")


def no_archive(folder: Path) -> None:
    (folder / "archive.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_off, "entry/all.parquet has .* bytes, and .* it was cut off"),
        (gone, "entry/all.parquet is in manifest.json and cannot be read: No such file"),
        (flipped, "entry/all.parquet was changed: its SHA-256"),
        (of_another, "2-8-9.parquet is not in manifest.json: it came from elsewhere"),
        (other_system, "manifest.json is of another system"),
        (newer, "archive.json says format 2, and this program reads 1"),
        (other_rule, "archive.json has .* bytes, and .* it was cut off or written anew"),
        (no_files, "manifest.json does not say what an archive says"),
        (no_json, "manifest.json is no JSON"),
        (no_archive, "archive.json cannot be read: No such file .* name a folder"),
    ],
)
def test_a_folder_that_is_not_as_it_was_written_is_refused(
    dsn: str, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    """One sentence names the file, what is wrong with it, and what to do; nothing is read then."""
    take(dsn, {"odd": told(ODD)}, tmp_path / "taken", ABOUT)
    spoil(tmp_path / "taken")
    with pytest.raises(ConfigError, match=said):
        open_archive(tmp_path / "taken")
