"""Files that are on the disk, whole, or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def moved(beside: Path, path: Path) -> None:
    """Move a file or a folder of files to its place once it is on the disk; a kill leaves all of it there, or nothing."""
    for file in beside.iterdir() if beside.is_dir() else ():
        sync(file)
    sync(beside)
    new = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.replace(path)
    for folder in (path.parent, *(folder.parent for folder in new)):
        sync(folder)


def written(path: Path, facts: Mapping[str, Any]) -> None:
    """Put facts into a file in the place of what it had; a kill leaves the ones or the others."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sync(beside)
    beside.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
