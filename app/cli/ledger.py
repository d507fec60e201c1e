"""`ballast ledger`: balances, statements and trial balances at any time, proof of the whole, and its few manual acts.

Amounts are in minor units. A time is ISO 8601, and a bare date is its midnight in UTC. `--as-of` counts what was recorded
by then; with `--effective` it counts what had happened by then, however late it was recorded.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.options import Config, Json, time_of, transaction_id_of
from app.settings import read_settings
from connectors.clock import now_ms
from domain.proof.verify import Head
from domain.times import ms_of

ledger_app = typer.Typer(
    help="Read the ledger at any time, prove it, and correct it.", no_args_is_help=True, rich_markup_mode=None
)

PROGRESS_SECONDS = 2.0
"""How often long work says how far it is."""

BROKEN = 70

MOMENT = timedelta(microseconds=1)
"""Times in the ledger are no finer, so a period that ends so much after a time has that time in it."""


def _past_time(text: str) -> datetime:
    read = time_of(text)
    if ms_of(read) > now_ms():
        msg = f"{text} is still to come; what is done here is done for good, and for what has happened"
        raise typer.BadParameter(msg)
    return read


def _head(text: str) -> Head:
    try:
        return Head.read(text)
    except ValueError as error:
        msg = f"{text} is no head of a chain, such as ballast ledger verify tells it: SHARD:BATCH:HASH"
        raise typer.BadParameter(msg) from error


AsOf = Annotated[
    datetime | None, typer.Option("--as-of", parser=time_of, metavar="TIME", help="At this time; now if left out.")
]
Effective = Annotated[bool, typer.Option("--effective", help="By when things happened, not by when they were recorded.")]


@ledger_app.command()
def balance(
    account: Annotated[str | None, typer.Argument(help="A code, such as STABLESATS_OMNIBUS; all if left out.")] = None,
    as_of: AsOf = None,
    effective: Effective = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show balances, now or at a time; an account that others are below is the sum of them.

    Example: ballast ledger balance STABLESATS_OMNIBUS --as-of 2024-05-01 --json
    """
    from app.reports.ledger import now, read_balances  # noqa: PLC0415 - a command loads what it needs

    at = now() if effective and as_of is None else as_of
    _show(read_balances(_dsn(config), account, at, is_effective=effective), as_json, "balances")


@ledger_app.command()
def statement(
    account: Annotated[str, typer.Argument(help="A code; of an account that others are below, all its leaves.")],
    currency: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", parser=time_of, metavar="TIME", help="From this time on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", parser=time_of, metavar="TIME", help="Up to this time, without it.")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", parser=time_of, metavar="TIME", help="Up to this time, with it.")
    ] = None,
    effective: Effective = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what moved on an account in a period, from the opening to the closing balance.

    Example: ballast ledger statement STABLESATS_OMNIBUS --currency USD --from 2024-05-01 --to 2024-06-01
    """
    from app.reports.ledger import read_statement  # noqa: PLC0415 - a command loads what it needs

    if as_of is not None:
        if until is not None:
            msg = "--to and --as-of both say where the statement ends; give one of them"
            raise typer.BadParameter(msg)
        until = as_of + MOMENT
    if since is not None and until is not None and until < since:
        msg = f"a statement from {since.isoformat()} cannot end before that, at {until.isoformat()}; change one of the two"
        raise typer.BadParameter(msg)
    _show(read_statement(_dsn(config), account, currency, since, until, is_effective=effective), as_json, "lines")


@ledger_app.command("trial-balance")
def trial_balance(as_of: AsOf = None, effective: Effective = False, config: Config = None, as_json: Json = False) -> None:
    """Show every account on its side; exit code 70 if the sides of a currency and layer are not equal.

    Example: ballast ledger trial-balance --as-of 2024-05-01T00:00:00Z
    """
    from app.reports.ledger import now, read_trial_balance  # noqa: PLC0415 - a command loads what it needs

    at = now() if effective and as_of is None else as_of
    report = read_trial_balance(_dsn(config), at, is_effective=effective)
    _show(report, as_json, "accounts", "totals")
    if not report["is_balanced"]:
        raise typer.Exit(BROKEN)


@ledger_app.command("verify")
def verify_ledger(
    folder: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="An export; no database is used.")] = None,
    heads: Annotated[
        list[Head] | None,
        typer.Option(
            "--head",
            parser=_head,
            metavar="SHARD:BATCH:HASH",
            help="A head that an earlier verify told, kept elsewhere: the chain has to have it still. May be repeated.",
        ),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Compute every hash, sum and seal again, and name each batch, account, balance and period that differs; 70 if one does.

    It tells the heads of the chains. Keep them where nobody who can write to the database can: with --head they show later
    whether the last batches have been cut off.

    Example: ballast ledger verify --from exported --json
    """
    from app.reports.verify import verify_database, verify_folder  # noqa: PLC0415 - a command loads what it needs

    progress = _progress()
    kept = heads or []
    report = verify_database(_dsn(config), progress, kept) if folder is None else verify_folder(folder, progress, kept)
    _show(report, as_json, "broken", "accounts", "balances", "seals")
    if not report["is_intact"]:
        raise typer.Exit(BROKEN)


@ledger_app.command("export")
def export(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to, as CSV; its files are overwritten.")
    ] = None,
    beancount: Annotated[
        Path | None, typer.Option("--beancount", metavar="FILE", help="All of it as one file of beancount instead.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Of a snapshot or an archive that was kept; with --beancount of an export as CSV. No database is used.",
        ),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write the ledger of this moment, for `verify --from` and for whoever wants to check it with other means.

    As CSV into a folder, or as one file for beancount, whose bean-check then adds it all up again. That file is written whole or
    not at all, and over nothing but another one of its kind.

    Example: ballast ledger export exported --from kept
    """
    if folder is not None and beancount is None:
        from app.reports.verify import export_kept, export_ledger  # noqa: PLC0415 - a command loads what it needs

        _show(export_ledger(_dsn(config), folder) if source is None else export_kept(source, folder), as_json)
    elif beancount is not None and folder is None:
        from app.reports.beancount import convert_export, export_beancount  # noqa: PLC0415 - a command loads what it needs

        made = export_beancount(_dsn(config), beancount) if source is None else convert_export(source, beancount)
        _show(made, as_json)
    else:
        msg = "name a folder, for CSV, or a file with --beancount; not both"
        raise typer.BadParameter(msg)


@ledger_app.command()
def reverse(
    transaction_id: Annotated[str, typer.Argument(parser=transaction_id_of, metavar="TX_ID", help="What to take back.")],
    effective_at: Annotated[
        datetime, typer.Option("--effective-at", parser=_past_time, metavar="TIME", help="When it is taken back.")
    ],
    reason: Annotated[str | None, typer.Option(help="Why, in words; it is kept.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Post the mirror of a transaction, which names it; nothing that is there is changed.

    Example: ballast ledger reverse 018bcfe5-6800-8000-8000-000000000000 --effective-at 2024-05-01 --reason "typed twice"
    """
    from app.reports.ledger import reverse as post_reversal  # noqa: PLC0415 - a command loads what it needs

    _show(post_reversal(_dsn(config), transaction_id, effective_at, reason), as_json)


@ledger_app.command()
def rebook(
    transaction_id: Annotated[str, typer.Argument(parser=transaction_id_of, metavar="TX_ID", help="What was rejected.")],
    effective_at: Annotated[
        datetime | None,
        typer.Option(
            "--effective-at",
            parser=_past_time,
            metavar="TIME",
            help="When it is booked; left out: its own time, or the first after all closed periods.",
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it can be booked now, in words; it is kept.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Book what the ledger has rejected, once what stood against it is out of the way; however often it is asked, once.

    Example: ballast ledger rebook 018bcfe5-6800-8000-8000-000000000000 --reason "came after the close"
    """
    from app.reports.ledger import rebook as book_again  # noqa: PLC0415 - a command loads what it needs

    _show(book_again(_dsn(config), transaction_id, effective_at, reason), as_json)


@ledger_app.command()
def seal(
    until: Annotated[
        datetime, typer.Option("--until", parser=_past_time, metavar="TIME", help="What is effective before it.")
    ],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Close a period for good, and keep what it came to, day by day, so that `verify` can tell whether it still does.

    A leg that waits for its other half may still become a trade of the period: it is refused until that is paired, or has waited
    too long.

    Example: ballast ledger seal --until 2024-05-01
    """
    from app.reports.ledger import seal as seal_period  # noqa: PLC0415 - a command loads what it needs

    _show(seal_period(_dsn(config), until), as_json, "days", "sums")


def _dsn(config: Path | None) -> str:
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs

    return find_ledger(read_settings(config))


def _progress() -> Callable[[int], None]:
    """Say on standard error how many batches are done, now and then."""
    spoken = time.monotonic()

    def tell(batches: int) -> None:
        nonlocal spoken
        if time.monotonic() - spoken >= PROGRESS_SECONDS:
            spoken = time.monotonic()
            print(f"verified {batches} batches", file=sys.stderr)

    return tell


def _show(report: dict[str, Any], as_json: bool, *tables: str) -> None:
    """One JSON object, or a line per fact and a table for each of those named."""
    if as_json:
        print(json.dumps(report, separators=(",", ":")))
        return
    from app.reports.tables import aligned, with_units  # noqa: PLC0415 - rich is slow to load

    for name, value in report.items():
        if name in tables:
            print(f"\n{name}:\n{aligned(with_units(value))}", end="")
        elif value is not None:
            print(f"{name.replace('_', ' ')}: {_worded(value)}")


def _worded(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return json.dumps(value) if isinstance(value, dict) else str(value)
