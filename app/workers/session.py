"""Everything that flows need around them, started in order and stopped in reverse: broker, database, exchange."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from app.places.addresses import announced, claimed
from app.places.places import Places, open_places
from app.reports.metrics import served
from app.settings import CONFIG_VARIABLE, NO_FILE, Provider, Settings
from connectors.embedded.processes import die_with_parent, free_port, stop
from domain.errors import ConfigError
from domain.simulated.exchange_terms import FUNDING_INTERVAL_MS

SECRETS = {"postgres": {"dsn"}, "kafka": {"secret_options"}}
"""What is handed on under a name of its own, since a dump hides it."""


@dataclass(frozen=True)
class Market:
    """What moves the simulated exchange's price: a file of bars, or a seeded walk; `bars_per_second` is how fast,
    `chain_delay_ms` how long a deposit or withdrawal takes, and `funding_interval_ms` how often the funding rate is paid."""

    prices: Path | None = None
    bars_per_second: float = 1.0
    seed: int = 1
    chain_delay_ms: int = 500
    funding_interval_ms: int = FUNDING_INTERVAL_MS


@dataclass(frozen=True)
class Session:
    """`env` is what worker processes need in their environment to find everything."""

    places: Places
    venue_urls: dict[str, str]
    env: dict[str, str]


@contextmanager
def open_session(settings: Settings, market: Market | None) -> Iterator[Session]:
    """Start what settings do not name; no exchange without a market. The simulated one keeps its truth in the data folder."""
    with ExitStack() as stack:
        stack.enter_context(claimed(settings))
        places = stack.enter_context(open_places(settings))
        if places.broker_is_new:
            # Offsets into topics that are gone mean nothing; the ledger knows what was booked.
            rmtree(settings.data.folder / "recovery", ignore_errors=True)
        urls = {name: venue.url for name, venue in settings.venues.items() if venue.url}
        if market is not None:
            for name in (name for name in settings.venues if name not in urls):
                urls[name] = stack.enter_context(simulated_exchange(settings, places, market, name))
        stack.enter_context(announced(settings, places, urls))
        stack.enter_context(served(places, settings.run.metrics_host, settings.run.metrics_port))
        yield Session(places, urls, worker_env(settings, places, urls))


def worker_env(settings: Settings, places: Places, venue_urls: Mapping[str, str]) -> dict[str, str]:
    """The environment of worker processes: the settings as they were read here, with the places filled in, and no file."""
    filled = settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap": places.kafka.bootstrap}),
            "venues": {
                name: venue.model_copy(update={"url": venue_urls.get(name)}) for name, venue in settings.venues.items()
            },
        }
    )
    env = {
        f"BALLAST_{name.upper()}": json.dumps(section)
        for name, section in filled.model_dump(mode="json", exclude=SECRETS).items()
    }
    secrets = {name: value.get_secret_value() for name, value in settings.kafka.secret_options.items()}
    shown_to_nobody = {
        "BALLAST_POSTGRES__DSN": places.dsn,
        "BALLAST_KAFKA__SECRET_OPTIONS": json.dumps(secrets),
        "BALLAST_PROVIDERS": json.dumps({name: _revealed(one) for name, one in settings.providers.items()}),
    }
    return env | shown_to_nobody | {CONFIG_VARIABLE: NO_FILE}


def _revealed(provider: Provider) -> dict[str, Any]:
    """Return the settings of a provider with its secrets, which a dump of them hides."""
    return provider.model_dump(mode="json") | {
        "secret": provider.secret.get_secret_value(),
        "passphrase": provider.passphrase.get_secret_value(),
        "webhook_secrets": [secret.get_secret_value() for secret in provider.webhook_secrets],
    }


def exchange_options(settings: Settings, venue: str, market: Market, bootstrap: str | None) -> list[str]:
    """Return how the simulated exchange of a venue is started, whoever starts it. The first venue makes the price."""
    terms = {"deposit_delay_ms": market.chain_delay_ms, "withdrawal_delay_ms": market.chain_delay_ms}
    terms["funding_interval_ms"] = market.funding_interval_ms
    options = ["--data", str(settings.data.folder / f"exchange-{venue}.sqlite3"), "--terms", json.dumps(terms)]
    options += ["--seed", str(market.seed), "--bars-per-second", str(market.bars_per_second)]
    options += ["--kafka", bootstrap] if bootstrap and venue == next(iter(settings.venues)) else []
    return options + (["--prices", str(market.prices)] if market.prices else [])


@contextmanager
def simulated_exchange(settings: Settings, places: Places, market: Market, venue: str) -> Iterator[str]:
    """Run the simulated exchange of a venue as a process of its own, and yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "connectors.venue.simulated.process", "--port", str(port)]
    command += exchange_options(settings, venue, market, places.kafka.bootstrap)
    command += ["--from-start"] if market.prices else []
    with started(command, settings.data.folder / f"exchange-{venue}.log", "the simulated exchange"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def started(command: Sequence[str], log: Path, what: str) -> Iterator[None]:
    """Run a process that says a line when it is ready, until the block ends; ConfigError says why one did not start."""
    with log.open("ab") as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdout=subprocess.PIPE,
            stderr=said,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
            start_new_session=True,
        )
    assert process.stdout is not None, "standard output is a pipe"  # noqa: S101
    try:
        with process.stdout:
            if not process.stdout.readline():
                msg = f"{what} did not start: {_last_words(log)}"
                raise ConfigError(msg)
        yield
    finally:
        stop(process)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"see {log}"
