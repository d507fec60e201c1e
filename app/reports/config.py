"""What the settings say: every one that is not its default, and whether what they name can be reached. Secrets are not shown."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from pydantic import SecretStr

from app.places.places import check_broker, check_database, kafka_settings, named_dsn
from app.settings import Settings
from connectors.answers import NotFound, Refused, Unknown
from connectors.venue.simulated.client import HttpExchange
from domain.errors import ConfigError

HIDDEN = "(set, and not shown)"


def check_settings(settings: Settings) -> dict[str, Any]:
    """Return what was changed, and what is wrong with what is named; nothing is started and nothing changed."""
    checks: dict[str, Callable[[], object]] = {}
    dsn, bootstrap = named_dsn(settings), settings.kafka.bootstrap
    if dsn is not None:
        checks["postgres.dsn"] = lambda: check_database(dsn)
    if bootstrap is not None:
        checks["kafka.bootstrap"] = lambda: check_broker(kafka_settings(settings, bootstrap))
    for name, venue in settings.venues.items():
        if venue.url is not None:
            checks[f"venues.{name}.url"] = partial(_check_venue, name, venue.url, venue.timeout_seconds)
    troubles = {name: why for name, check in checks.items() if (why := _trouble(check)) is not None}
    return {"changed": dict(changed(settings.model_dump(), Settings.model_construct().model_dump())), "troubles": troubles}


def _check_venue(name: str, url: str, timeout_seconds: int) -> None:
    """ConfigError in one sentence when no exchange answers."""
    try:
        with closing(HttpExchange(url, timeout_seconds)) as exchange:
            exchange.position()
    except (Unknown, NotFound, Refused) as error:
        msg = f"no exchange answers for {name} at {url} ({error}); see that it runs, and venues.{name}.url"
        raise ConfigError(msg) from error


def changed(values: Mapping[str, Any], defaults: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting that is not its default, by its name."""
    for name, value in values.items():
        default, where = defaults.get(name), f"{path}{name}"
        if isinstance(value, Mapping) and name != "secret_options":
            yield from changed(value, default if isinstance(default, Mapping) else {}, f"{where}.")
        elif value != default:
            yield where, _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case SecretStr() | Mapping():
            return HIDDEN
        case list() | tuple():
            return [str(one) for one in value]
        case bool() | int() | None:
            return value
        case _:
            return str(value)


def _trouble(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ConfigError as error:
        return str(error)
    return None
