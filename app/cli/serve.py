"""`ballast serve`: what others reach us by over HTTP."""

import sys
from typing import Annotated

import typer

from app.cli.options import Config, Json
from app.cli.showing import show
from app.logs import configure_logs
from app.settings import read_settings

PORT = 8092

serve_app = typer.Typer(help="Answer others over HTTP.", no_args_is_help=True, rich_markup_mode=None)


@serve_app.callback()
def serve() -> None:
    """Answer others over HTTP."""


@serve_app.command()
def webhooks(
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free port.", min=0, max=65535)] = PORT,
    host: Annotated[str, typer.Option(help="The address that it listens on; loopback unless told otherwise.")] = "127.0.0.1",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take in what providers of conversions tell by themselves, until SIGTERM or Ctrl-C.

    A provider posts to /webhooks/NAME, where NAME is that of provider.config and of providers.NAME.webhook_secrets in the
    settings. It is answered 200 when Kafka has what it says. TLS is for whoever stands in front.

    Example: ballast serve webhooks --port 8092
    """
    from app.places.addresses import find_broker  # noqa: PLC0415 - a command loads what it needs
    from app.serve.server import serve_webhooks  # noqa: PLC0415

    settings = read_settings(config)
    configure_logs(settings.run.log_level)

    def say(bound: int) -> None:
        show({"url": f"http://{host}:{bound}/webhooks"}, as_json)
        sys.stdout.flush()

    serve_webhooks(settings, find_broker(settings), host, port, say)
