"""The messages on the topics: flat JSON that a person can type.

Amounts are integers in minor units (cents, satoshis), prices and rates are decimal strings, times are ISO 8601 UTC or epoch
milliseconds. `schema_version` may be left out and then means the newest. Models are strict: a field that is unknown, a
number where a string belongs, or a float anywhere is an error, because a JSON number loses digits that money needs.
"""

import re
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from domain.times import LATEST_MS, parse_ms

MESSAGE_BYTES_MAX = 64 * 1024
AMOUNT_MAX = 10**30
"""No honest amount has more digits; a sum of a billion of them still fits NUMERIC(38, 0)."""

_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")


def _parse_decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        msg = 'must be a decimal in quotes, such as "42000.5"'
        raise ValueError(msg)
    return Decimal(value)


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        msg = "must be more than zero"
        raise ValueError(msg)
    return value


def _non_zero(value: int) -> int:
    if value == 0:
        msg = "must not be zero"
        raise ValueError(msg)
    return value


def _plain(value: Decimal) -> str:
    """Write a decimal without an exponent, as it has to be written to be read."""
    return format(value, "f")


DecimalText = Annotated[
    Decimal, BeforeValidator(_parse_decimal, json_schema_input_type=str), PlainSerializer(_plain, return_type=str)
]
Price = Annotated[DecimalText, AfterValidator(_positive)]
Ms = Annotated[int, BeforeValidator(parse_ms, json_schema_input_type=int | str), Field(ge=0, le=LATEST_MS)]
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""A database keeps no NUL in a text, and no honest name or memo has a control character."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
Amount = Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Balance = Annotated[int, Field(gt=-(10**38), lt=10**38)]
"""What the ledger can hold; a sum of amounts is not bounded as one amount is."""

NonZeroAmount = Annotated[Amount, AfterValidator(_non_zero)]
Currency = Literal["BTC", "USD"]


class Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    examples: ClassVar[tuple[str, ...]] = ()
    """Lines that can be typed as they are, for messages that people write."""

    happened: ClassVar[str | None] = None
    """The field with the time at which it happened, for what comes from outside: that lies behind us, and not before 2009."""

    bytes_max: ClassVar[int] = MESSAGE_BYTES_MAX
    """The most bytes that a message of this kind may have on its topic."""

    schema_version: Literal[1] = 1
