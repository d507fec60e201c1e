"""The port to a provider of conversions: what is asked of it, integers in minor units, and the ways to fail of `answers`.

Everything that depends on the provider stays behind it. An honest provider carries a request out at most once under its id. A
time-out and an answer that cannot be read are `Unknown`, whatever they may mean; a word that nobody knows is never guessed.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from domain.messages.treasury import BufferCurrency, ConversionCancel, ConversionRequest
from domain.treasury.conversion import CancelState, ConversionState, Quote, StatementLine


class Unreadable(NamedTuple):
    """A word in a list that says something nobody here understands; those after it are told all the same."""

    id: str
    sequence: int
    text: str


class Provider(Protocol):
    """Our account at one provider. Every method may raise `Unknown`.

    `void_after_ms` is how long a request that was not answered may still be carried out there, whatever its deadline says; 0
    where the provider keeps to the deadline.
    """

    @property
    def void_after_ms(self) -> int:
        """How long an unanswered request may still be carried out."""
        ...

    def convert(self, request: ConversionRequest, expires_at_ms: int) -> ConversionState:
        """Ask for a conversion that must be refused after `expires_at_ms`. Raises `Refused`."""
        ...

    def conversion(self, client_conversion_id: str) -> ConversionState:
        """Look a conversion up. Raises `NotFound`."""
        ...

    def cancel(self, request: ConversionCancel, expires_at_ms: int) -> CancelState:
        """Ask the provider to let go of a conversion. Raises `Refused`."""
        ...

    def ask_cancel(self, request: ConversionCancel) -> CancelState:
        """Look up what became of such a request. Raises `NotFound`."""
        ...

    def changes(self, after_sequence: int, limit: int) -> Sequence[ConversionState | Unreadable]:
        """Return at most `limit` words with a larger sequence, oldest first; what was said before may come again."""
        ...

    def quote(self, source_currency: BufferCurrency, destination_currency: BufferCurrency, amount: int) -> Quote:
        """Return what an amount would give now. Raises `Refused`."""
        ...

    def statement(self, since_ms: int, until_ms: int) -> Sequence[StatementLine]:
        """Return how our money moved from `since_ms` on and before `until_ms`, oldest first."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
