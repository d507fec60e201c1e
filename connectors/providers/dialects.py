"""What the adapters to real providers share: amounts in whole units, words by time instead of by number, and no cancels.

Neither Due nor zerohash counts its words or lets go of a conversion by request. So the sequence of a word is its time, in
milliseconds, the list of words is read again from a minute before the newest one, since clocks of theirs may differ by as much,
and a request to cancel is answered by what the conversion has come to.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from connectors.answers import NotFound, Refused
from connectors.providers.calls import understood
from connectors.providers.port import Unreadable
from domain.messages.treasury import BufferCurrency, ConversionCancel
from domain.money import DECIMALS, plain
from domain.treasury.conversion import CancelState, ConversionState, ConversionWord, StatementLine

OVERLAP_MS = 60_000
HEARD_MAX = 10_000
RATE_DIGITS = 10

EXPIRED = "expired"
UNSUPPORTED = "unsupported_pair"


class Moved(NamedTuple):
    """What a conversion took, gave and kept, in minor units, and the rate for one whole unit."""

    source_amount: int
    destination_amount: int
    fee_amount: int
    rate: Decimal


def word_of(words: Mapping[str, ConversionWord], status: str) -> ConversionWord:
    """Return what a status of theirs means; ValueError for one that nobody knows, which is never guessed."""
    if status not in words:
        msg = f"nobody knows the status {status!r}"
        raise ValueError(msg)
    return words[status]


def rate_of(source_amount: int, source: str, destination_amount: int, destination: str) -> Decimal:
    """Return what was given for one whole unit, with ten digits, half to even."""
    exact = Fraction(destination_amount, source_amount) * Fraction(10) ** (DECIMALS[source] - DECIMALS[destination])
    return Decimal(plain(Decimal(round(exact * 10**RATE_DIGITS)).scaleb(-RATE_DIGITS)))


class Heard:
    """Which words were told already, of those that are read again; forgets the oldest."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def new(
        self, words: Iterable[ConversionState | Unreadable], after_ms: int, limit: int
    ) -> list[ConversionState | Unreadable]:
        """Return the first `limit` words that were not told, those aside that are older than the overlap."""
        found = (word for word in words if word.id not in self._ids and word.sequence > after_ms - OVERLAP_MS)
        new = list(islice(found, limit))
        self._ids.update(dict.fromkeys(word.id for word in new))
        for name in list(islice(self._ids, max(0, len(self._ids) - HEARD_MAX))):
            del self._ids[name]
        return new


def cancel_by_state(request: ConversionCancel, state: ConversionState) -> CancelState:
    """Return how a request to cancel stands where nobody is asked to let go; NotFound while the conversion is under way."""
    if state.state == "processing":
        raise NotFound
    with understood():
        return CancelState(
            client_cancel_id=request.client_cancel_id,
            client_conversion_id=request.client_conversion_id,
            state="accepted" if state.state == "cancelled" else "too_late",
            sequence=state.sequence,
            at_ms=state.at_ms,
        )


def refuse_cancel(request: ConversionCancel, state: ConversionState) -> CancelState:
    """Return how a conversion that has ended stands; what is under way goes on, which is a no."""
    try:
        return cancel_by_state(request, state)
    except NotFound:
        code, text = "cancel_unsupported", "what this provider has begun it does not let go of"
        raise Refused(code, text) from None


def lines_of(
    states: Iterable[ConversionState], source: BufferCurrency, destination: BufferCurrency
) -> Iterator[StatementLine]:
    """Yield the movements of conversions that completed, which all go the same way."""
    for state in states:
        moved = (("taken", source, state.source_amount, -1), ("given", destination, state.destination_amount, 1))
        for what, currency, amount, sign in moved if state.state == "completed" else ():
            yield StatementLine(
                id=f"{state.provider_tx_id}-{what}",
                at_ms=state.at_ms,
                currency=currency,
                amount=sign * (amount or 0),
                client_conversion_id=state.client_conversion_id,
                provider_tx_id=state.provider_tx_id,
            )
