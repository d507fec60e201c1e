"""Three buffers, and what an amount in each of them is worth in micro-dollars, in which all is decided.

A USDC counts as a dollar: what it really trades at shows in the rate of a conversion, and stays on the clearing accounts.
"""

from collections.abc import Mapping
from typing import get_args

from domain.messages.treasury import BufferCurrency, BufferName

BUFFERS: tuple[BufferName, ...] = get_args(BufferName)
CURRENCY_OF: Mapping[BufferName, BufferCurrency] = {
    "system_buffer_usdc": "USDC",
    "system_buffer_fiat": "USD",
    "broker_operational": "USD",
}
SOURCES_OF: Mapping[BufferName, tuple[BufferName, ...]] = {
    "system_buffer_usdc": ("system_buffer_fiat",),
    "system_buffer_fiat": ("broker_operational", "system_buffer_usdc"),
    "broker_operational": ("system_buffer_fiat", "system_buffer_usdc"),
}
"""Who may give to whom; of one kind in this order (see `decide_buffer`)."""

MICROS_PER_CENT = 10_000
MICROS_PER_UNIT: Mapping[BufferCurrency, int] = {"USD": MICROS_PER_CENT, "USDC": 1}
"""What a minor unit is worth."""


def micros(amount: int, currency: BufferCurrency) -> int:
    """Return what an amount in minor units is worth."""
    return amount * MICROS_PER_UNIT[currency]


def units_up(amount_micros: int, currency: BufferCurrency) -> int:
    """Return the smallest amount in minor units that is worth as much."""
    return -(-amount_micros // MICROS_PER_UNIT[currency])


def units_down(amount_micros: int, currency: BufferCurrency) -> int:
    """Return the largest amount in minor units that is worth no more."""
    return amount_micros // MICROS_PER_UNIT[currency]


def dollars(amount_micros: int) -> str:
    """Return an amount as people read it, to the cent, or further where there is more."""
    whole, rest = divmod(abs(amount_micros), 1_000_000)
    digits = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount_micros < 0 else ''}{whole:,}.{digits} USD"
