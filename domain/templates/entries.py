"""The building blocks of templates.

An entry may not be zero, so `nonzero` leaves those out; a template that has none left has nothing to book.
"""

from domain.ledger.journal import Entry, Layer

_SETTLED = Layer.SETTLED


def settled(account: str, currency: str, side: int, amount: int) -> Entry:
    """An entry for money that moved, `amount` in minor units."""
    return Entry(account, currency, _SETTLED, side, amount)


def nonzero(*entries: Entry) -> tuple[Entry, ...]:
    """The entries that say something."""
    return tuple([entry for entry in entries if entry[4]])


def moved(currency: str, debited: str, credited: str, amount: int) -> tuple[Entry, ...]:
    """`amount` from the credited to the debited account; a negative amount goes the other way, by positive entries."""
    if amount < 0:
        debited, credited, amount = credited, debited, -amount
    return nonzero(Entry(debited, currency, _SETTLED, 1, amount), Entry(credited, currency, _SETTLED, -1, amount))
