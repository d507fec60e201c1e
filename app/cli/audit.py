"""`ballast audit`: every promise judged over one snapshot, or over a folder that was kept, without a server."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from app.cli.options import Config, Json, settings_of
from app.settings import Settings
from domain.errors import ConfigError

BREACHED = 1
SHOWN = ("invariant", "name", "verdict", "checked", "of", "breaches")


def audit(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A snapshot that was kept, or an archive; no server is needed.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Of what runs, and never of what a demo has left.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Where a demo or a worker has its data; as settings say if left out.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the snapshot here, in a new folder.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with plots, too.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Judge every invariant in DuckDB over a snapshot of the books and the topics, by the files of sql/audit.

    A row that breaks a promise is named; the exit code is 1 then. Nothing that the writers say of themselves is taken for the
    truth: balances, hashes and pairs are made anew from entries and messages. Writers are not kept waiting. DIR may be what
    `ballast run archive` keeps, too: its newest moment is judged.

    Example: ballast audit --keep kept --html audit.html
    """
    settings = settings_of(config, data)  # before anything is loaded that complains when a wrong one ends it
    from app.reports.audit.judge import audit_folder  # noqa: PLC0415 - a command loads what it needs

    if folder is not None and (live or keep is not None):
        msg = "a folder that was kept is neither live nor kept again; leave out DIR, or --live and --keep"
        raise ConfigError(msg)
    with _taken(settings, folder, keep, is_live=live) as taken:
        report = audit_folder(taken)
        if html is not None:
            _write_page(taken, report, html)
    report["folder"] = next((str(named) for named in (folder, keep) if named), None)
    _show(report, as_json)
    if report["verdict"] != "pass":
        raise typer.Exit(BREACHED)


@contextmanager
def _taken(settings: Settings, folder: Path | None, keep: Path | None, *, is_live: bool) -> Iterator[Path]:
    """Yield the folder to judge: the one that was named, or a snapshot that is kept, or gone at the end of the block."""
    from app.reports.audit.taking import take_snapshot  # noqa: PLC0415 - a command loads what it needs
    from sinks.archive.reading import snapshot_in  # noqa: PLC0415

    with TemporaryDirectory(prefix="ballast-audit-") as scratch:
        if folder is not None:
            yield snapshot_in(folder, Path(scratch))
            return
        taken = keep or Path(scratch) / "snapshot"
        take_snapshot(settings, taken, is_live=is_live)
        yield taken


def _write_page(folder: Path, report: dict[str, Any], file: Path) -> None:
    from app.reports.audit.page import page, read_plots  # noqa: PLC0415 - a command loads what it needs
    from sinks.archive.manifest import open_archive  # noqa: PLC0415

    try:
        file.write_text(page(report, read_plots(open_archive(folder))), encoding="utf-8")
    except OSError as error:
        msg = f"{file} cannot be written to: {error.strerror}"
        raise ConfigError(msg) from error


def _of(report: dict[str, Any]) -> str:
    if report["kind"] == "snapshot":
        return "a snapshot of"
    since = report["messages_since"]
    only = f", with prices, positions, balances and alerts since {since} only" if since else ""
    return f"an archive, bound by manifests until {report['closed'] or 'no day yet'}{only}, up to"


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, separators=(",", ":")))
        return
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    print(aligned([{name: check[name] for name in SHOWN} for check in report["checks"]]), end="")
    for check in report["checks"]:
        if check["why"]:
            print(f"\n{check['name']} was not judged: {check['why']}")
        if check["rows"]:
            print(f"\n{check['name']}: {check['holds']}\n{aligned(check['rows'])}", end="")
    print(f"\n{report['verdict']}: {_of(report)} {report['made_at']}")
    sys.stdout.flush()
