"""`ballast provider`: a simulated provider of conversions by itself, which workers find by what is told on provider.config."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ValidationError

from app.cli.options import Config, Json
from app.cli.showing import show
from app.settings import Provider, Settings, read_settings
from domain.errors import ConfigError
from domain.simulated.provider_faults import ProviderFaults
from domain.simulated.provider_terms import ProviderTerms

PORT = 8091
NAME = "simulated"


def provider(
    name: Annotated[str, typer.Argument(help="What it is called; its secrets are those of providers.NAME.")] = NAME,
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free port.", min=0, max=65535)] = PORT,
    host: Annotated[str, typer.Option(help="The address that it listens on; loopback unless told otherwise.")] = "127.0.0.1",
    data: Annotated[Path | None, typer.Option(help="Where it keeps its truth; in the data folder if left out.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same faults.")] = 1,
    faults: Annotated[str, typer.Option(help='How often it fails, in a million: {"fail_ppm": 100000}.')] = "{}",
    terms: Annotated[str, typer.Option(help='How it converts: {"fee_bps": "50", "eta_ms": 2000}.')] = "{}",
    webhook_url: Annotated[str | None, typer.Option(help="Where it posts every word, signed; nowhere if left out.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run a simulated provider of conversions until SIGTERM or Ctrl-C, and say where it is and how it is made known.

    It keeps what it has converted in a file and goes on from there. Its faults are decided by seed and id alone, so that a run
    with faults can be run again.

    Example: ballast provider due --port 8091 --faults '{"answer_lost_ppm": 200000}'
    """
    from connectors.providers.simulated import process  # noqa: PLC0415 - a command loads what it needs

    _check("--faults", ProviderFaults, faults)
    _check("--terms", ProviderTerms, terms)
    settings = read_settings(config)
    given = ["--host", host, "--port", str(port), "--seed", str(seed), "--faults", faults, "--terms", terms]
    options = [*given, "--name", name, "--data", str(data or settings.data.folder / f"provider-{name}.sqlite3")]
    options += ["--webhook-url", webhook_url] if webhook_url else []

    def say(port: int) -> None:
        url = f"http://{host}:{port}"
        if as_json:
            show({"provider": name, "url": url, "webhooks_go_to": webhook_url}, as_json)
        else:
            print(_told(name, url, webhook_url))
        sys.stdout.flush()

    process.run(process.parse([*options, *_secrets(settings, name)]), say)


def _check(option: str, model: type[BaseModel], text: str) -> None:
    """Say in one sentence what is wrong with an option that is JSON."""
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"{option} is wrong at {'.'.join(map(str, first['loc'])) or 'its beginning'}: {first['msg']}"
        raise ConfigError(msg) from error


def _secrets(settings: Settings, name: str) -> list[str]:
    """Return what both sides know, as options that never leave this process."""
    own = settings.providers.get(name, Provider())
    webhook_secrets = [secret.get_secret_value() for secret in own.webhook_secrets[:1]]
    secrets = [f"--key={own.key}", f"--secret={own.secret.get_secret_value()}"]
    return [*secrets, *(f"--webhook-secret={secret}" for secret in webhook_secrets)]


def _told(name: str, url: str, webhook_url: str | None) -> str:
    posted = f"its webhooks go to {webhook_url}" if webhook_url else "it posts no webhooks"
    return f"the provider {name} is ready at {url}; {posted}; tell it on provider.config, with kind http and this url"
