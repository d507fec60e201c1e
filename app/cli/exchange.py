"""`ballast exchange`: the simulated exchange by itself, so that workers which run apart share one account and one price."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Config, Json
from app.cli.showing import show
from app.settings import Settings, read_settings
from domain.errors import ConfigError

PORT = 8090


def exchange(
    venue: Annotated[str | None, typer.Argument(help="A venue of the settings; the first if left out.")] = None,
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free port.", min=0, max=65535)] = PORT,
    host: Annotated[str, typer.Option(help="The address that it listens on; loopback unless told otherwise.")] = "127.0.0.1",
    prices: Annotated[Path | None, typer.Option(help="A recorded price path: CSV or CSV.gz of bars.")] = None,
    bars_per_second: Annotated[float, typer.Option(help="How fast the path plays.", min=0.01)] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 1,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run the simulated exchange of a venue until SIGTERM or Ctrl-C, and say where it is and how a worker finds it.

    Each `ballast run` of a flow that talks to exchanges starts one for itself if the settings name none; workers that run apart
    need one that they share. Its account is kept in the data folder. Its prices go to kafka.bootstrap, if that is set, and with
    several venues the first one makes the price.

    Example: ballast exchange --port 8090
    """
    from app.workers.session import Market, exchange_options  # noqa: PLC0415
    from connectors.venue.simulated import process  # noqa: PLC0415 - a command loads what it needs

    settings = read_settings(config)
    name, broker = _venue_named(settings, venue), _broker(settings)
    options = exchange_options(settings, name, Market(prices, bars_per_second, seed), broker)

    def say(port: int) -> None:
        url = f"http://{host}:{port}"
        if as_json:
            show({"venue": name, "url": url, "prices_go_to": broker}, as_json)
        else:
            print(_told(name, url, broker))
        sys.stdout.flush()

    process.run(process.parse(["--host", host, "--port", str(port), *options]), say)


def _venue_named(settings: Settings, venue: str | None) -> str:
    name = venue or next(iter(settings.venues))
    if name not in settings.venues:
        msg = f"there is no venue {name}; the settings have {', '.join(settings.venues)}"
        raise ConfigError(msg)
    return name


def _broker(settings: Settings) -> str | None:
    """Return where prices go; a broker that is named has to answer, or they would be lost without a word."""
    from app.places.places import check_broker, kafka_settings  # noqa: PLC0415 - a command loads what it needs

    if settings.kafka.bootstrap is not None:
        check_broker(kafka_settings(settings, settings.kafka.bootstrap))
    return settings.kafka.bootstrap


def _told(venue: str, url: str, broker: str | None) -> str:
    prices = f"its prices go to {broker}" if broker else "its prices go nowhere, since kafka.bootstrap is not set"
    return (
        f'the exchange of {venue} is ready; {prices}; workers find it by these settings:\n\n[venues.{venue}]\nurl = "{url}"'
    )
