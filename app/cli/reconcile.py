"""`ballast reconcile`: what banks, venues and providers say of our accounts, compared with the books.

Amounts are in minor units, and positive when they make the account larger.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import Config, Json, time_of
from app.cli.showing import show
from app.settings import Settings, read_settings
from domain.errors import ConfigError
from domain.topics import RECON_STATEMENTS

if TYPE_CHECKING:
    from app.reports.reconciling import Compared

DIFFERS = 1

reconcile_app = typer.Typer(
    help="Compare statements from outside with the books, and correct what they differ in.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[str, typer.Option(help="Who says it, such as bank:first.")]
Account = Annotated[str, typer.Option(help="Of which account of ours; a code of the ledger.")]
Currency = Annotated[str | None, typer.Option(help="In which currency; left out: that of the account.")]
Person = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; it is kept.")]
Break = Annotated[str, typer.Argument(metavar="BREAK", help="The id of a break, as `ballast reconcile show` tells it.")]


@reconcile_app.command()
def load(
    file: Annotated[Path, typer.Argument(help="A statement, as CSV or as JSON.")],
    source: Source,
    account: Account,
    currency: Currency = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check a statement and put it on recon.statements, where `ballast run reconciling` compares it.

    What is wrong is one sentence with file, line and what to do, and nothing is sent then. docs/reconciling.md shows the form.

    Example: ballast reconcile load first-2026-01.csv --source bank:first --account TREASURY_WALLET
    """
    from app.cli import produce as console  # noqa: PLC0415 - a command loads what it needs
    from app.places.addresses import find_broker  # noqa: PLC0415
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.reconciling import read_checked  # noqa: PLC0415

    settings = read_settings(config)
    told = read_checked(find_ledger(settings), file, source, account, currency)
    produced = console.produce(
        find_broker(settings), RECON_STATEMENTS, [told.model_dump_json().encode()], check=True, each=True
    )
    for _, why in produced.refused:
        msg = f"{file} was not sent: {why}; load it in statements of shorter periods if it is too large"
        raise ConfigError(msg)
    show({"statement_id": told.statement_id, "lines": len(told.lines), "sent": produced.sent}, as_json)


@reconcile_app.command("now")
def compare(
    account: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="A snapshot or an archive; no server is needed.")
    ] = None,
    statements: Annotated[
        list[Path] | None, typer.Option("--statement", metavar="FILE", help="With --from: the statement; may be repeated.")
    ] = None,
    source: Annotated[str, typer.Option(help="With --from: who says it.")] = "file",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Compare now what the flow compares every hour; it is recorded, and told on recon.reports and recon.exceptions.

    The exit code is 1 when there is a break. With --from the books are those of a folder, DuckDB reads them, and nothing is
    recorded.

    Example: ballast reconcile now --account TREASURY_WALLET --json
    """
    from app.reports.reconciling import breaks_of, rows_of  # noqa: PLC0415 - a command loads what it needs

    settings = read_settings(config)
    if folder is not None:
        from app.reports.reconciling_offline import compare_folder  # noqa: PLC0415

        if account is None or not statements:
            msg = "a comparison from a folder needs --account, and a --statement of it"
            raise typer.BadParameter(msg)
        compared = compare_folder(settings, folder, statements, source, account)
    else:
        if statements:
            msg = "a statement is loaded first (ballast reconcile load), or compared with a folder: --from DIR"
            raise typer.BadParameter(msg)
        compared = _recorded(settings, account)
    _show({"accounts": rows_of(compared.told), "breaks": breaks_of(compared.breaks)}, as_json, "accounts", "breaks")
    if compared.breaks:
        raise typer.Exit(DIFFERS)


def _recorded(settings: Settings, account: str | None) -> "Compared":
    from app.cli import produce as console  # noqa: PLC0415 - a command loads what it needs
    from app.places.addresses import find_places  # noqa: PLC0415
    from app.reports.reconciling import compare_all  # noqa: PLC0415
    from operators.streams.publish import outgoing  # noqa: PLC0415

    places = find_places(settings)
    compared = compare_all(settings, places.dsn, account)
    reports = [outgoing(one.report, one.report.as_of) for one in compared.told]
    breaks = [outgoing(broken, broken.as_of) for one in compared.told for broken in one.exceptions]
    console.tell(places.kafka, [*reports, *breaks])
    return compared


@reconcile_app.command("show")
def show_breaks(
    break_id: Annotated[str | None, typer.Argument(metavar="[BREAK]", help="One of them, with all that is known.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the breaks that are open, the worst and the oldest first, or one of them.

    Example: ballast reconcile show
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.reconciling import read_breaks  # noqa: PLC0415

    rows = read_breaks(find_ledger(read_settings(config)), break_id)
    if break_id is not None:
        show(rows[0], as_json)
    else:
        _show({"breaks": rows}, as_json, "breaks")


@reconcile_app.command()
def correct(
    break_id: Break,
    to: Annotated[str, typer.Option("--to", metavar="ACCOUNT", help="The account that stands against it.")],
    why: Annotated[str, typer.Option(help="In words; it is kept with the posting.")],
    by: Person,
    amount: Annotated[
        int | None,
        typer.Option(help="In minor units, positive to make the account larger; left out: what the break comes to."),
    ] = None,
    effective_at: Annotated[
        datetime | None,
        typer.Option("--effective-at", parser=time_of, metavar="TIME", help="Left out: when the break began."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask for a posting that corrects a break; somebody else has to approve it before it is booked.

    Example: ballast reconcile correct 1b4e28ba-2fa1-8d2a-883f-b9a761bde3fb --to NETWORK_FEES --why "a fee" --by anna
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.reconciling import ask_for  # noqa: PLC0415

    show(ask_for(find_ledger(read_settings(config)), break_id, to, why, by, amount, effective_at), as_json)


@reconcile_app.command()
def approve(break_id: Break, by: Person, config: Config = None, as_json: Json = False) -> None:
    """Approve the correction that waits for a break, and post it; the next comparison closes the break.

    Example: ballast reconcile approve 1b4e28ba-2fa1-8d2a-883f-b9a761bde3fb --by boris
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.reconciling import approve as post  # noqa: PLC0415

    show(post(find_ledger(read_settings(config)), break_id, by), as_json)


def _show(report: dict[str, Any], as_json: bool, *tables: str) -> None:
    if as_json:
        show(report, as_json)
        return
    from app.reports.tables import aligned, with_units  # noqa: PLC0415 - rich is slow to load

    for name in tables:
        print(f"{name}:\n{aligned(with_units(report[name]))}")
