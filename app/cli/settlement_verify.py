"""`ballast settlement verify`: balances of customers worked out again from all that was booked for them."""

from typing import Annotated, Any

import typer

from app.cli.options import Config, Json
from app.cli.showing import show
from app.settings import read_settings

DIFFERS = 1


def verify(
    customer: Annotated[str | None, typer.Argument(metavar="[CUSTOMER]", help="Only this one.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="So many, from where the last job ended; left out: as the settings say.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Work balances out again from history, and compare them with what is stored and with what its entries add up to.

    What is wrong is recorded with the correction that would mend it, and nothing is changed. One person asks for a correction on
    settlement.corrections (ballast settlement correct), another one agrees (ballast settlement approve ID). The exit
    code is 1 when something is wrong. Amounts are in smallest units.

    Example: ballast settlement verify u1 --json
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs
    from app.reports.settlement.verify import verify as work_out  # noqa: PLC0415

    settings = read_settings(config)
    report = work_out(find_ledger(settings), customer, sample or settings.settlement.sample)
    if as_json:
        show(report, as_json)
    else:
        _show(report)
    if report["status"] == "differs":
        raise typer.Exit(DIFFERS)


def _show(report: dict[str, Any]) -> None:
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    show({name: report[name] for name in ("status", "customers", "trades", "fixed")}, as_json=False)
    for name in ("errors", "residuals"):
        rows = [{key: value for key, value in row.items() if key != "correction"} for row in report[name]]
        print(f"{name}:\n{aligned(rows)}" if rows else f"{name}: none")
    for error in report["errors"]:
        if error["correction"] is not None:
            show({"correction": error["correction"]}, as_json=False)
