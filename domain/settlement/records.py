"""What the settlement needs of whoever keeps its records: to write down what is refused before anything later is booked, and on
which terms is traded."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from domain.messages.fields import Message
from domain.settlement.answers import Heard, Word
from domain.settlement.desk import LockAsked, MoneyAsked, Refused
from domain.settlement.trade import Refusal


class Put(NamedTuple):
    """A word that was refused, where it was heard, and why."""

    word: Word
    heard: Heard
    refusal: Refusal


class Records(Protocol):
    """Keeps what is refused, and on which terms is traded; a call is committed when it returns, and the same again changes
    nothing."""

    def refuse(self, refused: Sequence[Put]) -> None:
        """Write refused words down, all or none."""
        ...

    def keep(self, terms: Sequence[Message]) -> None:
        """Write instruments, fees and terms of customers down, all or none."""
        ...


def refusal_of(effect: object) -> Put | None:
    """Return what an effect of the desk refuses; None where it refuses nothing."""
    if isinstance(effect, LockAsked | MoneyAsked | Refused) and effect.refusal is not None:
        return Put(effect.word, effect.heard, effect.refusal)
    return None
