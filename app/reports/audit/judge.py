"""An audit of a folder: every check asked of it, and one word for all of them."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from app.reports.audit import bodies, customers, pairs, settled, unread
from app.reports.audit.checks import BREACH, NOT_JUDGED, PASS, VIEWS, Check, Finding, carry_out, named_checks, order
from domain.errors import ConfigError
from sinks.archive.manifest import AGAIN, Opened, open_archive
from sinks.archive.parquet import Duck, duck
from sinks.archive.tables import KEPT, LATER

OF_PAIRING = frozenset((pairs.CHECK.name,))
FIRST = "settings pair by the rule `first`, which depends on the order of arrival"


def checks() -> list[Check]:
    """Return all checks there are, in the order of their invariants."""
    in_python = [module.CHECK for module in (bodies, pairs, unread, settled, customers)]
    return sorted([*named_checks(), *in_python], key=order)


def audit_folder(folder: Path) -> dict[str, Any]:
    """Judge a folder; ConfigError in one sentence when it is not whole, and then nothing of it is judged."""
    archive = open_archive(folder)
    with TemporaryDirectory(prefix="ballast-audit-") as scratch, duck(Path(scratch)) as opened:
        look_into(opened, archive)
        findings = [_judged(check, opened, archive) for check in checks()]
    return {**archive.about, "folder": str(folder), "verdict": verdict(findings), "checks": [*map(_told, findings)]}


def look_into(opened: Duck, archive: Opened) -> None:
    """Make the views over a folder; ConfigError names the table that is not what an archive has."""
    opened.execute("SET VARIABLE folder = ?", [str(archive.folder)])
    for kept in KEPT:
        if kept in LATER and not (archive.folder / kept.folder).is_dir():
            continue
        files = f"{archive.folder}/{kept.folder}/{'**/' if kept.folder == 'topics' else ''}*.parquet"
        try:
            found = opened.execute("DESCRIBE SELECT * FROM read_parquet(?)", [files]).fetchall()
        except duckdb.Error as error:
            msg = f"{archive.folder / kept.folder} cannot be read as Parquet: {str(error).splitlines()[0]}; {AGAIN}"
            raise ConfigError(msg) from error
        if [(name, kind) for name, kind, *_ in found] != [(one.name, one.type.replace(" ", "")) for one in kept.columns]:
            msg = f"{archive.folder / kept.folder} does not have the columns and types of an archive; {AGAIN}"
            raise ConfigError(msg)
    opened.execute(VIEWS.read_text(encoding="utf-8"))


def _judged(check: Check, opened: Duck, archive: Opened) -> Finding:
    if check.name in OF_PAIRING and archive.about.get("pairing") != "closest":
        return Finding(check.name, check.holds, NOT_JUDGED, 0, check.of, why=FIRST)
    return carry_out(check, opened)


def verdict(findings: Sequence[Finding]) -> str:
    """Return a breach if there is one."""
    return BREACH if any(finding.verdict == BREACH for finding in findings) else PASS


def _told(finding: Finding) -> dict[str, Any]:
    return {"invariant": finding.invariant, **finding._asdict(), "rows": [*finding.rows]}
