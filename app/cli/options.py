"""Options that commands have in common."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app.settings import Settings, read_settings
from domain.errors import ConfigError

Config = Annotated[Path | None, typer.Option("--config", help="A settings file; ballast.toml if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]

SINCE_EVER, FOR_EVER = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""What people write as 0001-01-01 and 9999-12-31; a day less, so that no zone and no moment more leads beyond."""


def settings_of(config: Path | None, data: Path | None) -> Settings:
    """Return the settings of a file, with the data folder that was named beside it, if one was."""
    settings = read_settings(config)
    if data is None:
        return settings
    return settings.model_copy(update={"data": settings.data.model_copy(update={"folder": data})})


def time_of(text: str) -> datetime:
    """Return the time that a person typed, in ISO 8601; a bare date is its midnight in UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text} is no time in ISO 8601, such as 2024-05-01 or 2024-05-01T12:30:00Z"
        raise typer.BadParameter(msg) from error
    return min(max(read.replace(tzinfo=UTC) if read.tzinfo is None else read, SINCE_EVER), FOR_EVER)


def transaction_id_of(text: str) -> str:
    """Return the id of a transaction that a person typed."""
    try:
        return str(UUID(text))
    except ValueError as error:
        msg = f"{text} is no id of a transaction"
        raise typer.BadParameter(msg) from error


def who_is(by: str | None) -> str:
    """Return who says something: who is named, or who is logged in."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        msg = "nobody knows who is logged in here; say who says so: --by NAME"
        raise ConfigError(msg) from error
