"""`ballast settlement`: how the settlement stands, its trades and balances, what was refused, and what people have done about it.

Whatever changes something is a message on a topic, with who says it and why, and is kept for ever. Amounts are shown in smallest
units of their asset; a correction is typed in whole ones.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.options import Config, Json, time_of, who_is
from app.cli.settlement_verify import verify
from app.cli.showing import show, show_said
from app.settings import Settings, read_settings
from domain.errors import ConfigError
from domain.messages.fields import Message

settlement_app = typer.Typer(
    help="Look at settled trades, balances of customers and what was refused, and have it put right.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
settlement_app.command("verify")(verify)

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; left out: who is logged in.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words; it is kept.")]
After = Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="Go on where a page ended: its `next`.")]
Limit = Annotated[int, typer.Option("--limit", help="So many rows at most.", min=1, max=1_000)]
Symbol = Annotated[str | None, typer.Option("--symbol", help="Only of this symbol, such as BTC_USDT.")]
Since = Annotated[
    datetime | None, typer.Option(parser=time_of, metavar="TIME", help="From this time on, or midnight of a date.")
]
Until = Annotated[
    datetime | None, typer.Option(parser=time_of, metavar="TIME", help="Before this time, or midnight of a date.")
]
Correction = Annotated[str, typer.Argument(metavar="ID", help="The id that `ballast settlement correct` has told.")]


@settlement_app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Show how far each symbol has come, what was refused, what waits, whether each asset comes to zero, and what to look at.

    All balances are added up for it: over a million customers that takes some seconds.

    Example: ballast settlement status
    """
    from app.reports.settlement.standing import read_settlement  # noqa: PLC0415 - a command loads what it needs
    from app.reports.settlement.words import text_of  # noqa: PLC0415

    report = read_settlement(_ledger(read_settings(config)))
    if as_json:
        show(report, as_json)
    else:
        print(text_of(report), end="")


@settlement_app.command()
def trades(
    symbol: Symbol = None,
    customer: Annotated[str | None, typer.Option(help="Only those that this customer has bought or sold in.")] = None,
    sequence: Annotated[int | None, typer.Option(help="Only this number of a symbol.", min=1)] = None,
    from_sequence: Annotated[int | None, typer.Option(help="From this number of a symbol on, upward.", min=1)] = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    limit: Limit = 20,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write all of them to a file, such as settled_trades.csv.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show settled trades, the newest first, with fees, the refund, and what both sides had after each, with versions.

    A page ends with `next` where there are more. A balance is followed by its version: 90000000:7.

    Example: ballast settlement trades --symbol BTC_USDT --from-sequence 1 --limit 10
    """
    from app.reports.settlement.trades import Asked, read_trades, write_csv  # noqa: PLC0415 - a command loads what it needs

    dsn, asked = _ledger(read_settings(config)), Asked(symbol, customer, sequence, from_sequence, since, until)
    if csv is not None:
        show({"file": str(csv), "trades": write_csv(dsn, asked, csv)}, as_json)
        return
    from app.reports.settlement.words import trade_rows  # noqa: PLC0415

    report = read_trades(dsn, asked, after, limit)
    _show_page(report, trade_rows(report["trades"]), as_json)


@settlement_app.command()
def balance(
    customer: Annotated[str, typer.Argument(help="Whose.")],
    asset: Annotated[str | None, typer.Option(help="With --events: of this asset, such as USDT.")] = None,
    events: Annotated[bool, typer.Option("--events", help="What has moved it, with what each account came to.")] = False,
    after: After = None,
    limit: Limit = 20,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what a customer has of each asset: available, locked for orders, and owed to us.

    With --events: every entry on one asset, the newest first, with the running value of its account and that one's version.

    Example: ballast settlement balance u1 --asset USDT --events
    """
    from app.reports.settlement.balances import read_balances, read_events  # noqa: PLC0415 - a command loads what it needs

    dsn = _ledger(read_settings(config))
    if events != (asset is not None):
        msg = "events are of one asset: ballast settlement balance CUSTOMER --asset ASSET --events"
        raise ConfigError(msg)
    if asset is None:
        report = read_balances(dsn, customer)
        _show_page(report | {"next": None}, report["balances"], as_json)
    else:
        page = read_events(dsn, customer, asset, after, limit)
        _show_page(page, page["events"], as_json)


@settlement_app.command()
def orders(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Whose orders.")],
    open_only: Annotated[bool, typer.Option("--open", help="Only those that still have something locked.")] = False,
    limit: Limit = 20,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the orders of a customer, the newest first: what each has locked, what trades spent of it, what is left.

    Example: ballast settlement orders u1 --open
    """
    from app.reports.settlement.balances import read_orders  # noqa: PLC0415 - a command loads what it needs

    report = read_orders(_ledger(read_settings(config)), customer, limit, open_only=open_only)
    _show_page(report | {"next": None}, report["orders"], as_json)


@settlement_app.command()
def quarantine(
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as trade, lock or withdrawal.")] = None,
    symbol: Symbol = None,
    reason: Annotated[str | None, typer.Option(help="Only what was refused for this reason.")] = None,
    after: After = None,
    limit: Limit = 20,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json-file", metavar="FILE", help="Write trades that are not settled to a file, such as failed_trades.json."
        ),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show refused trades and other words, the newest first: why, by how much, and what to do about it.

    Example: ballast settlement quarantine --kind trade --reason unknown_symbol
    """
    from app.reports.settlement.refused import Refused, read_refused, write_failed  # noqa: PLC0415 - a command loads what it needs

    dsn, asked = _ledger(read_settings(config)), Refused(kind, symbol, reason)
    if json_file is not None:
        show({"file": str(json_file), "trades": write_failed(dsn, asked, json_file)}, as_json)
        return
    from app.reports.settlement.words import refused_rows  # noqa: PLC0415

    report = read_refused(dsn, asked, after, limit)
    _show_page(report, refused_rows(report["refused"]), as_json)


@settlement_app.command()
def replay(
    reason: Reason,
    trade_id: Annotated[str | None, typer.Argument(metavar="TRADE_ID", help="A trade in quarantine.")] = None,
    reason_was: Annotated[
        str | None, typer.Option("--reason-was", metavar="REASON", help="Instead: all that were refused for this reason.")
    ] = None,
    symbol: Symbol = None,
    by: By = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Have refused trades settled after all, once what was wrong is mended, with their orders as they are now.

    Example: ballast settlement replay BTC_USDT-7 --by anna --reason "the symbol was told too late"
    """
    from app.reports.settlement.saying import replay as replayed  # noqa: PLC0415 - a command loads what it needs
    from app.reports.settlement.saying import replays  # noqa: PLC0415

    settings, who = read_settings(config), who_is(by)
    if (trade_id is None) == (reason_was is None):
        msg = "say which trade, or all that were refused for a reason: ballast settlement replay --reason-was unknown_symbol"
        raise ConfigError(msg)
    dsn = _ledger(settings)
    if trade_id is not None:
        told = [replayed(dsn, trade_id, symbol, who, reason)]
    else:
        told = list(replays(dsn, str(reason_was), symbol, who, reason))
    _say(settings, told)
    show(
        {"topic": "settlement.replays", "trades": [one.trade.trade_id for one in told], "by": who, "reason": reason}, as_json
    )


@settlement_app.command(context_settings={"ignore_unknown_options": True})
def correct(
    customer: Annotated[str, typer.Argument(help="Whose balance.")],
    asset: Annotated[str, typer.Argument(help="Of what, such as USDT.")],
    amount: Annotated[str, typer.Argument(help="What is to be added, in whole units, such as -42.5 to take away.")],
    reason: Reason,
    smallest: Annotated[bool, typer.Option("--smallest", help="The amount is in smallest units.")] = False,
    name: Annotated[str | None, typer.Option("--id", help="What it is called; left out: an id of its own.")] = None,
    by: By = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask for a correction of what a customer has; it is booked when another person approves it.

    Example: ballast settlement correct u1 USDT -1.5 --by anna --reason "deposit 7 came twice"
    """
    from app.reports.settlement import saying  # noqa: PLC0415 - a command loads what it needs

    settings = read_settings(config)
    dsn = _ledger(settings)
    exact = saying.whole_number(amount) if smallest else saying.smallest(dsn, asset, amount)
    said = saying.correction(dsn, customer, asset, exact, who_is(by), reason, name)
    _say(settings, [said])
    show_said("settlement.corrections", said, as_json)


@settlement_app.command()
def approve(correction: Correction, reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Agree to a correction that somebody else has asked for; it is booked at once.

    Example: ballast settlement approve fix:deposit-7 --by ben --reason "seen in the bank's statement"
    """
    _vote(config, as_json, correction, "approve", by, reason)


@settlement_app.command()
def deny(correction: Correction, reason: Reason, by: By = None, config: Config = None, as_json: Json = False) -> None:
    """Deny a correction that somebody else has asked for, which ends it.

    Example: ballast settlement deny fix:deposit-7 --by ben --reason "it came once"
    """
    _vote(config, as_json, correction, "deny", by, reason)


def _vote(config: Path | None, as_json: bool, subject: str, vote: str, by: str | None, reason: str) -> None:
    from app.places.addresses import find_broker  # noqa: PLC0415 - a command loads what it needs
    from app.reports.said import message  # noqa: PLC0415
    from app.reports.settlement.saying import check_vote  # noqa: PLC0415
    from domain.messages.gov import Vote  # noqa: PLC0415

    settings, who = read_settings(config), who_is(by)
    check_vote(_ledger(settings), find_broker(settings), subject, who)
    said = message(Vote, {"subject": subject, "vote": vote, "by": who, "reason": reason})
    _say(settings, [said])
    show_said("gov.approvals", said, as_json)


def _ledger(settings: Settings) -> str:
    from app.reports.ledger import find_ledger  # noqa: PLC0415 - a command loads what it needs

    return find_ledger(settings)


def _say(settings: Settings, said: Iterable[Message]) -> None:
    """Send messages to the topics that they belong to."""
    from app.cli.produce import tell  # noqa: PLC0415 - a command loads what it needs
    from app.places.addresses import find_broker  # noqa: PLC0415
    from connectors.clock import now_ms  # noqa: PLC0415
    from operators.streams.publish import outgoing  # noqa: PLC0415

    tell(find_broker(settings), [outgoing(one, now_ms()) for one in said])


def _show_page(report: dict[str, Any], rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show(report, as_json)
        return
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    print(aligned(rows), end="")
    if report["next"] is not None:
        print(f"\nmore: --after {report['next']}")
