"""`ballast archive`: what an archive that goes on has."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Json
from app.cli.showing import show

archive_app = typer.Typer(help="Look into an archive that goes on.", no_args_is_help=True, rich_markup_mode=None)


@archive_app.callback()
def archive() -> None:
    """Look into an archive that goes on."""


@archive_app.command("status")
def archive_status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `ballast run archive` keeps.")],
    as_json: Json = False,
) -> None:
    """Say how far each partition is kept, until when everything is, and how many bytes a trade takes. No server is needed.

    Example: ballast archive status ballast-archive --json
    """
    from app.reports.archive import archive_report  # noqa: PLC0415 - a command loads what it needs

    report = archive_report(folder)
    if as_json:
        show(report, as_json)
        return
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    partitions = report.pop("partitions")
    print(aligned(partitions), end="\n" if partitions else "")
    show(report, as_json)
