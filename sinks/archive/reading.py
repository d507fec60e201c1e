"""An archive that goes on, read as the snapshot of its newest moment, so that whatever judges the one judges the other.

The files stay where they are: a folder of links has the layout of a snapshot, and a manifest of what is there now. Of a topic
that had several lives it has the newest: what was booked from an earlier one is not looked for, as with a broker that has
forgotten. Days that are closed are bound by their manifests. Of later ones nothing says what there should be: what was changed
in a file, or is gone at the end of a partition, is found only where it contradicts something else.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb

from domain.errors import ConfigError
from domain.streams.records import RawMessage
from domain.times import text_of
from sinks.archive.days import check_days, messages_since
from sinks.archive.lives import TOPICS, Named, files, lives_there
from sinks.archive.manifest import ARCHIVE, Filed, System, about, filed, open_archive, write_about, write_manifest
from sinks.archive.moments import OF_BATCHES, WHOLE, dotted, is_whole, moments
from sinks.archive.parquet import Duck, Lines, duck, holes_in, rows_in, write_parquet
from sinks.archive.snapshot import sums
from sinks.archive.tables import LATER, MESSAGES, Kept

KIND = "archive"


class Placed(NamedTuple):
    """A file of an archive, where a snapshot has it, and what its name says if it has messages."""

    path: str
    file: Path
    name: Named | None = None


def is_archive(folder: Path) -> bool:
    """Whether a folder is an archive that goes on, and no snapshot."""
    try:
        said = json.loads((folder / ARCHIVE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("kind") == KIND


def is_kept(folder: Path) -> bool:
    """Whether a folder is a snapshot or an archive, and not of lines of text."""
    return (folder / ARCHIVE).is_file()


def messages_in(folder: Path, topics: Collection[str]) -> dict[tuple[str, int], list[RawMessage]]:
    """Return what these topics have in a snapshot or an archive, by partition, in the order of offsets; ConfigError names the
    file that is not as a manifest says, or is none."""
    if is_archive(folder):
        check_days(folder)
        paths = [one.file for one in _messages(folder)]
    else:
        open_archive(folder)
        paths = sorted((folder / TOPICS).glob("*/*.parquet"))
    found: dict[tuple[str, int], list[RawMessage]] = {}
    with TemporaryDirectory(prefix="ballast-") as scratch, duck(Path(scratch)) as opened:
        for topic, partition, *message in _rows_of(opened, folder, paths, topics):
            found.setdefault((topic, partition), []).append(RawMessage(*message))
    return found


def _rows_of(opened: Duck, folder: Path, paths: Sequence[Path], topics: Collection[str]) -> list[tuple[Any, ...]]:
    query = """
        SELECT topic, partition, "offset", at_ms, key, value FROM read_parquet(?) WHERE list_contains(?, topic)
        ORDER BY topic, partition, "offset"
    """
    try:
        return opened.execute(query, [[*map(str, paths)], [*topics]]).fetchall() if paths else []
    except duckdb.Error as error:
        raise _unread(folder, error) from error


def snapshot_in(folder: Path, scratch: Path) -> Path:
    """Return the folder of a snapshot: this one, or a new one in `scratch` if this is an archive that goes on."""
    if not is_archive(folder):
        return folder
    as_snapshot(folder, scratch / KIND)
    return scratch / KIND


def as_snapshot(archive: Path, folder: Path) -> None:
    """Make the folder a snapshot of the archive's newest moment; ConfigError when it has none, or names the file that is none."""
    said = about(archive)
    closed = check_days(archive)
    moment, placed = _brought(archive, folder)
    made_at = text_of(int(moment.name))
    with duck(folder) as opened:
        told = [_told(opened, folder, one) for one in placed]
        _check_ledger(opened, folder, moment, said["database"])
        told += [_empty(opened, folder, kept) for kept in _missing(placed)]
        system = System(None, said["database"])
        write_about(
            folder, system, made_at, said["pairing"], KIND, {"closed": closed, "messages_since": messages_since(archive)}
        )
        write_manifest(folder, system, sorted(told), sums(opened, folder))


def _check_ledger(opened: Duck, folder: Path, moment: Path, database: str) -> None:
    """See that a moment is of the ledger that the archive is of, by the first word of the history of its accounts."""
    query = "SELECT hash FROM read_parquet(?) ORDER BY revision LIMIT 1"
    found = opened.execute(query, [str(folder / "ledger" / "account_change" / "all.parquet")]).fetchone()
    if found is not None and found[0] != database:
        msg = f"{moment} is of another ledger than {ARCHIVE}: two archives are in one folder; take out what is not of it"
        raise ConfigError(msg)


def _brought(archive: Path, folder: Path) -> tuple[Path, list[Placed]]:
    """Put everything of the archive to where a snapshot has it, and return its newest moment; where a file has gone
    meanwhile, since the archive goes on, all of it is put there again."""
    before: list[Placed] = []
    while True:
        there = moments(archive)
        if not there or not is_whole(there[-1]):
            msg = f"{archive} has no moment of the books yet; let this run for a while: ballast run archive"
            raise ConfigError(msg)
        placed = [*_books(there), *_messages(archive)]
        try:
            for one in placed:
                _place(one, folder / one.path)
        except FileNotFoundError as error:
            if placed == before:
                raise _unread(Path(error.filename), error) from error
            before = placed
            rmtree(folder)
        else:
            return there[-1], placed


def _books(there: Sequence[Path]) -> Iterator[Placed]:
    for kept in WHOLE:
        path = there[-1] / f"{dotted(kept)}.parquet"
        if kept not in LATER or path.exists():
            yield Placed(f"{kept.folder}/all.parquet", path)
    for kept in OF_BATCHES:
        for moment in there:
            path = moment / f"{dotted(kept)}.parquet"
            if path.exists():
                yield Placed(f"{kept.folder}/{moment.name}.parquet", path)


def _messages(archive: Path) -> Iterator[Placed]:
    for topic in sorted((archive / TOPICS).glob("*")):
        for name, path in sorted(files(lives_there(topic)[-1])):
            yield Placed(f"{TOPICS}/{topic.name}/{path.name}", path, name)


def _missing(placed: Sequence[Placed]) -> Iterator[Kept]:
    """Yield the tables of batches that had no row in any moment, those that came later, and the columns of a message."""
    there = {one.path.rpartition("/")[0] for one in placed}
    yield from (kept for kept in (*OF_BATCHES, *LATER) if kept.folder not in there)
    yield MESSAGES


def _empty(opened: Duck, folder: Path, kept: Kept) -> Filed:
    path = folder / kept.folder / "none.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(Lines(kept, folder / "none.csv")):
        pass
    write_parquet(opened, kept, folder / "none.csv", path)
    return filed(folder, path, 0, None, None, ())


def _place(one: Placed, path: Path) -> None:
    """Put a file where a snapshot has it, so that it is still there when the archive has gone on: two moments later what is whole
    is gone, and what is made into larger files when a day is over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.hardlink_to(one.file)
    except FileNotFoundError:
        raise
    except OSError:  # on another disk
        if one.file.stem in {dotted(kept) for kept in WHOLE}:
            copyfile(one.file, path)
        else:
            path.symlink_to(one.file.resolve())


def _told(opened: Duck, folder: Path, one: Placed) -> Filed:
    path = folder / one.path
    try:
        rows, holes = rows_in(opened, path), holes_in(opened, path)
        return filed(folder, path, rows, one.name and one.name.first, one.name and one.name.last, holes)
    except (OSError, duckdb.Error) as error:
        raise _unread(one.file, error) from error


def _unread(file: Path, error: Exception) -> ConfigError:
    said = str(error).splitlines()[0]
    return ConfigError(f"{file} cannot be read as Parquet: {said}; bring it back as it was, and ask again")
