"""The measurement of an audit: a tiny run of all of it; nothing is timed here."""

from pathlib import Path

import pytest

from app.bench.audit import measure
from app.settings import Data, Postgres, Settings

pytestmark = pytest.mark.postgres


def test_a_ledger_is_looked_at_as_it_grows(server: str, tmp_path: Path) -> None:
    """At each size it has the entries that were asked for, is in order, and has a figure for everything."""
    settings = Settings(postgres=Postgres(dsn=server), data=Data(folder=tmp_path))  # type: ignore[arg-type]
    report = measure(settings, 4_000)
    assert [400, 1_200, 4_000] == [row["entries"] for row in report["sizes"]]
    assert all(0 < figure for row in report["sizes"] for figure in row.values())
    assert {"copy_seconds", "snapshot_seconds", "audit_seconds"} == report["growth"].keys()
