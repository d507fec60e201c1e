"""`ballast leg`, `trade`, `order`, `decision` and `explain`: one thing by its id, with all that led to it."""

import json
from typing import Annotated, Any

import typer

from app.cli.options import Config, Json, transaction_id_of
from app.settings import read_settings

TABLES = ("trades", "refusals", "entries", "changes", "booked")


def leg(
    leg_id: Annotated[str, typer.Argument(metavar="ID", help="As the wallet names it.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show where a leg is: in which trades, waiting, or refused and why.

    Example: ballast leg b-1041
    """
    from app.places.addresses import find_places  # noqa: PLC0415
    from app.reports.look import look_at_leg  # noqa: PLC0415 - a command loads what it needs

    places = find_places(read_settings(config))
    _show(look_at_leg(places.dsn, places.kafka, leg_id), as_json)


def trade(
    transaction_id: Annotated[str, typer.Argument(metavar="TX_ID", help="The id of the transaction.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show a trade, or any other transaction: its legs, its entries, and what took it back.

    Example: ballast trade 018bcfe5-6800-8000-8000-000000000000
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.look import look_at_trade  # noqa: PLC0415 - a command loads what it needs

    _show(look_at_trade(find_ledger(read_settings(config)), transaction_id_of(transaction_id)), as_json)


def order(
    client_id: Annotated[str, typer.Argument(metavar="ID", help="Our own id of the order or transfer.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show why an order or a transfer was sent, what became of it, and what was booked.

    Example: ballast order 6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.look import look_at_order  # noqa: PLC0415 - a command loads what it needs

    _show(look_at_order(find_ledger(read_settings(config)), client_id), as_json)


def decision(
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the decision.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show a decision as it was taken: its facts, its rule, what was refused, and the policy in force.

    Example: ballast decision 018bcfe5-6800-8000-8000-000000000000
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.look import look_at_decision  # noqa: PLC0415 - a command loads what it needs

    _show(look_at_decision(find_ledger(read_settings(config)), decision_id), as_json)


def explain(
    name: Annotated[str, typer.Argument(metavar="ID", help="Any id, or topic/partition/offset of a message.")],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a flowchart that Mermaid draws.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell the whole chain of one thing, both ways: from the messages that led to it to what was booked because of it.

    The id may be that of a leg, a transaction, a decision, an order, a transfer, a fill or a line of cash.

    Example: ballast explain dealer.transactions/0/17
    """
    from app.reports.explain.chain import explain as collect  # noqa: PLC0415 - a command loads what it needs
    from app.reports.explain.graph import as_json as plainly  # noqa: PLC0415
    from app.reports.explain.mermaid import mermaid as drawn  # noqa: PLC0415
    from app.reports.explain.story import story  # noqa: PLC0415
    from app.reports.ledger import find_ledger  # noqa: PLC0415

    if as_json and mermaid:
        msg = "it is either --json or --mermaid"
        raise typer.BadParameter(msg)
    settings = read_settings(config)
    watched = {book: of.liability for book, of in settings.books.items()}
    explained = collect(find_ledger(settings), watched, name)
    if as_json:
        _show(plainly(explained), as_json)
    else:
        print(drawn(explained) if mermaid else story(explained), end="")


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, separators=(",", ":")))
        return
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    for name, value in report.items():
        if name in TABLES:
            print(f"\n{name}:\n{aligned(value)}", end="")
        elif value is not None:
            print(f"{name.replace('_', ' ')}: {json.dumps(value) if isinstance(value, dict | list) else value}")
