"""Where a page ends: a text that the next page begins at, whatever came meanwhile."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from domain.errors import ConfigError

P = TypeVar("P")

Versions = dict[str, int]
"""Of each account or asset the version under which the next page goes on."""


def cursor_of(place: object) -> str:
    """Return a place as a text that can be typed."""
    return urlsafe_b64encode(to_json(place)).decode().rstrip("=")


def place_of(text: str, kind: TypeAdapter[P]) -> P:
    """Return the place that a text stands for; ConfigError when it is the end of no such page."""
    try:
        return kind.validate_json(urlsafe_b64decode(text + "=" * (-len(text) % 4)), strict=True)
    except (ValidationError, ValueError) as error:
        msg = f"{text} is no end of a page of this list; take `next` of the page before, asked for with the same options"
        raise ConfigError(msg) from error


def passed(before: Versions, taken: list[tuple[str, int]]) -> Versions:
    """Return where the next page goes on: under the last version that was taken of each, or where it was."""
    return {name: min([version, *(at for of, at in taken if of == name)]) for name, version in before.items()}
