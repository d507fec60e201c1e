"""`ballast quarantine`: which messages could not be used, what they say, and sending again what can be used now."""

import json
import sys
from typing import Annotated

import typer

from app.cli.options import Config, Json
from app.cli.showing import show as show_report
from app.cli.showing import show_rows
from app.settings import read_settings

quarantine_app = typer.Typer(
    help="Look at messages that could not be used, and send them again.", no_args_is_help=True, rich_markup_mode=None
)

TOPIC = typer.Argument(metavar="TOPIC", help="Where it came from, such as dealer.transactions.")


@quarantine_app.command("list")
def list_quarantine(
    topic: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1)] = 20,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the newest messages that could not be used, with the reason and where each was.

    Example: ballast quarantine list --topic dealer.transactions
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.quarantine import read_quarantine  # noqa: PLC0415 - a command loads what it needs

    show_rows(read_quarantine(find_ledger(read_settings(config)), topic, limit), "messages", as_json)


@quarantine_app.command()
def show(
    topic: Annotated[str, TOPIC],
    partition: Annotated[int, typer.Argument(min=0)],
    offset: Annotated[int, typer.Argument(min=0)],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show all that is kept of a message, its bytes as text.

    Example: ballast quarantine show dealer.transactions 2 1041
    """
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.quarantine import read_kept, shown  # noqa: PLC0415 - a command loads what it needs

    rows = shown(read_kept(find_ledger(read_settings(config)), topic, partition, offset))
    if not rows:
        print(f"ballast: nothing of {topic} {partition} {offset} is in quarantine", file=sys.stderr)
        raise typer.Exit(1)
    if as_json:
        print(json.dumps(rows, separators=(",", ":")))
        return
    for row in rows:
        print("\n".join(f"{name}: {value}" for name, value in row.items() if value is not None))


@quarantine_app.command()
def replay(
    topic: Annotated[str, TOPIC],
    partition: Annotated[int | None, typer.Option(help="Only of this one.", min=0)] = None,
    offset: Annotated[int | None, typer.Option(help="Only this one.", min=0)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Send again what the program can use now; what it still refuses is named, with exit code 1. The rows stay.

    Sent twice, nothing is booked twice: what a message stands for is known by its content.

    Example: ballast quarantine replay dealer.transactions --dry-run
    """
    from app.cli.produce import produce, topic_named  # noqa: PLC0415
    from app.places.addresses import find_broker  # noqa: PLC0415
    from app.reports.ledger import find_ledger  # noqa: PLC0415
    from app.reports.quarantine import read_kept, sorted_by_use  # noqa: PLC0415 - a command loads what it needs

    settings, named = read_settings(config), topic_named(topic)
    found = sorted_by_use(read_kept(find_ledger(settings), topic, partition, offset))
    lines = [bytes(row["raw"]) for row in found.usable]
    sent = 0 if dry_run else produce(find_broker(settings), named, lines, check=False, each=False).sent
    for row, why in found.unusable:
        print(f"{row['topic']} {row['partition']} {row['offset']} was not sent: {why}", file=sys.stderr)
    show_report({"topic": topic, "usable": len(lines), "sent": sent, "refused": len(found.unusable)}, as_json)
    if found.unusable:
        raise typer.Exit(1)
