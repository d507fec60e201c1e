"""`ballast status`: what runs and how it stands, for people once or again and again, and for programs."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.options import Config, Json
from app.cli.showing import show
from app.settings import read_settings

NOTHING_RUNS = 3


def status(
    health: Annotated[
        bool,
        typer.Option("--health", help="Only whether broker, database and a flow are well: one sentence, exit code 0 or 1."),
    ] = False,
    flow: Annotated[str, typer.Option(help="With --health: the flow whose steps have to keep up.")] = "everything",
    limit_seconds: Annotated[
        float, typer.Option(help="With --health: how silent, and how far behind, a step may be.", min=0)
    ] = 30,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, in place, until Ctrl-C.")] = False,
    every_seconds: Annotated[float, typer.Option("--every", help="With --watch: seconds between two looks.", min=0.1)] = 2,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show who writes the ledger, which flows live, how old the facts are, what is owed and held, and the newest alerts.

    Exit code 3 says that nothing runs: no writer and no flow has said a word for half a minute, so the numbers are of then.
    All that comes from the database is of one moment; the topics are looked at just before. It takes the same time however
    long the history is, and so does --health, which a supervisor may ask every few seconds.

    Example: ballast status --watch --every 5
    """
    from app.places.addresses import find_places  # noqa: PLC0415
    from app.places.places import check_broker  # noqa: PLC0415 - a command loads what it needs
    from app.reports.status import read_status  # noqa: PLC0415

    if health:
        _say_health(config, flow, limit_seconds, as_json)
        return
    places = find_places(read_settings(config))
    check_broker(places.kafka)
    if watch:
        _watch(lambda: read_status(places), every_seconds, as_json)
        return
    report = read_status(places)
    _show(report, as_json)
    if not report["is_running"]:
        print("ballast: nothing runs: no writer and no flow has said a word for half a minute", file=sys.stderr)
        raise typer.Exit(NOTHING_RUNS)


def _show(report: dict[str, Any], as_json: bool) -> None:
    from app.reports.words import text_of  # noqa: PLC0415 - a command loads what it needs

    if as_json:
        show(report, as_json)
    else:
        print(text_of(report))
    sys.stdout.flush()


def _watch(look: Callable[[], dict[str, Any]], every_seconds: float, as_json: bool) -> None:
    # A shell that starts us in the background has Ctrl-C ignored; whoever sends it all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt), _drawn(as_json) as draw:
        while True:
            draw(look())
            time.sleep(every_seconds)


@contextmanager
def _drawn(as_json: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what shows a report: in place on a terminal, one after the other for a program."""
    if as_json or not sys.stdout.isatty():
        yield lambda report: _show(report, as_json)
        return
    from rich.text import Text  # noqa: PLC0415 - rich is slow to load

    from app.reports.tables import in_place  # noqa: PLC0415
    from app.reports.words import text_of  # noqa: PLC0415

    with in_place() as draw:
        yield lambda report: draw(Text(text_of(report), no_wrap=True, overflow="ellipsis"))


def _say_health(config: Path | None, flow: str, limit_seconds: float, as_json: bool) -> None:
    from app.places.addresses import find_places  # noqa: PLC0415
    from app.reports.health import flow_trouble  # noqa: PLC0415 - a command loads what it needs
    from app.troubles import known_trouble  # noqa: PLC0415

    try:
        trouble = flow_trouble(find_places(read_settings(config)), flow, limit_seconds)
    except Exception as error:
        known = known_trouble(error)
        if known is None:
            raise
        trouble = str(known)
    if as_json:
        show({"healthy": trouble is None, "trouble": trouble}, as_json)
    else:
        print(trouble or f"the flow {flow} is well", file=sys.stderr if trouble else sys.stdout)
    if trouble:
        raise typer.Exit(1)
