"""What a folder of an archive says of itself, and whether it is still so.

`archive.json` says of which system it is and when it was made, `manifest.json` what is in it, file by file with the SHA-256.
Before anything in a folder is judged each file is read and hashed: what is missing, came in, was cut off or has another byte
is said, and nothing is judged. Whoever makes both files anew can say what he likes; against that helps a digest of
`manifest.json` that is kept elsewhere.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

from domain.errors import ConfigError

FORMAT = 1
ARCHIVE, MANIFEST = "archive.json", "manifest.json"
AGAIN = "take another snapshot with: ballast audit --keep DIR"


Hole = tuple[int, int]
"""The first and the last of some offsets under which the broker had no message."""


class System(NamedTuple):
    """What an archive is of: the cluster of the topics, None without one, and the ledger, by the hash of its first account."""

    cluster_id: str | None
    database: str


class Filed(NamedTuple):
    """A file of an archive: how many rows and bytes it has, what it is hashed to, and its first and last batch or offset.

    `holes` are the offsets in between, from each first to each last, under which the broker had no message.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    first: int | None = None
    last: int | None = None
    holes: Sequence[Hole] = ()


class Opened(NamedTuple):
    """A folder that is as its manifest says."""

    folder: Path
    about: Mapping[str, Any]
    manifest: Mapping[str, Any]


def filed(folder: Path, path: Path, rows: int, first: int | None, last: int | None, holes: Sequence[Hole]) -> Filed:
    """Return what the manifest says of a file, which is safe on the disk then."""
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return Filed(str(path.relative_to(folder)), rows, path.stat().st_size, digest, first, last, holes)


def write_about(
    folder: Path,
    system: System,
    made_at: str,
    pairing: str,
    kind: str = "snapshot",
    more: Mapping[str, object] = {},
) -> None:
    """Say what the archive is, in `archive.json`."""
    about = {"format": FORMAT, "kind": kind, "system": system._asdict(), "made_at": made_at, "pairing": pairing}
    _write(folder / ARCHIVE, {**about, **more})


def write_manifest(folder: Path, system: System, files: Iterable[Filed], sums: Sequence[Mapping[str, str]]) -> None:
    """Say what is in the archive, in `manifest.json`; what it is stands in `archive.json`, which has to be there."""
    told = [filed(folder, folder / ARCHIVE, 1, None, None, ()), *files]
    _write(folder / MANIFEST, {"system": system._asdict(), "files": [one._asdict() for one in told], "sums": sums})


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())


def open_archive(folder: Path) -> Opened:
    """Read what a folder says of itself, and see that it is so; ConfigError names the file that is not, and the way on."""
    about, manifest = _read(folder / ARCHIVE), _read(folder / MANIFEST)
    if about.get("format") != FORMAT:
        msg = f"{folder / ARCHIVE} says format {about.get('format')}, and this program reads {FORMAT}; use the one that wrote it"
        raise ConfigError(msg)
    if about.get("system") != manifest.get("system"):
        msg = f"{folder / MANIFEST} is of another system than {ARCHIVE} beside it; {AGAIN}"
        raise ConfigError(msg)
    told = _files(folder, manifest)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    for path in sorted(there - told.keys()):
        msg = f"{folder / path} is not in {MANIFEST}: it came from elsewhere; take it away, or {AGAIN}"
        raise ConfigError(msg)
    for one in told.values():
        compare(folder / one["path"], one)
    return Opened(folder, about, manifest)


def _files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    try:
        told = {one["path"]: one for one in manifest["files"]}
        is_whole = ARCHIVE in told and all(one.keys() >= set(Filed._fields) for one in told.values())
    except (KeyError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        msg = f"{folder / MANIFEST} does not say what an archive says; {AGAIN}"
        raise ConfigError(msg)
    return told


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; name a folder that this made: ballast audit --keep DIR"
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{path} is no JSON ({error}); {AGAIN}"
        raise ConfigError(msg) from error
    if not isinstance(facts, dict):
        msg = f"{path} does not say what an archive says; {AGAIN}"
        raise ConfigError(msg)
    return facts


def about(archive: Path) -> Mapping[str, Any]:
    """Return what an archive that goes on says of itself; ConfigError when it does not say whose it is."""
    return facts_in(archive / ARCHIVE, ("database", "pairing"), "bring it back as it was")


def facts_in(path: Path, names: Iterable[str], again: str) -> Mapping[str, Any]:
    """Read what a file of an archive says; ConfigError when it does not say all of this."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON: {error}; {again}"
        raise ConfigError(msg) from error
    if not isinstance(facts, dict) or not facts.keys() >= set(names):
        msg = f"{path} does not say what an archive says; {again}"
        raise ConfigError(msg)
    return facts


def compare(
    path: Path, told: Mapping[str, Any], manifest: str = MANIFEST, again: str = f"bring it back, or {AGAIN}"
) -> None:
    """See that a file is as a manifest says; ConfigError says what it is instead."""
    try:
        with path.open("rb") as file:
            size, digest = path.stat().st_size, file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path} is in {manifest} and cannot be read: {error.strerror}; {again}"
        raise ConfigError(msg) from error
    if size != told["bytes"]:
        was = f"{path} has {size} bytes, and {told['bytes']} by {manifest}"
        msg = f"{was}: it was cut off or written anew; {again}"
        raise ConfigError(msg)
    if digest != told["sha256"]:
        msg = f"{path} was changed: its SHA-256 is not that of {manifest}; {again}"
        raise ConfigError(msg)
