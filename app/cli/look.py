"""`ballast leg`, `trade`, `order` and `decision`: one thing by its id, with all that led to it."""

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
