"""Entries as lines of text: so they are hashed with their batch, and so COPY takes them as they are.

A line is written when the entry is booked, since nobody looks at an entry again but who writes it down.
"""

from typing import NamedTuple

ENTRY = "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%d\n"
"""Transaction id, version, account id, leg, layer, side, currency, amount, balance of the layer after it."""


class EntryFacts(NamedTuple):
    """What the line of an entry says."""

    tx_id: str
    version: int
    account_id: int
    leg: int
    layer: int
    side: int
    currency: str
    amount: int
    balance_after: int


def read_entry(line: str) -> EntryFacts:
    """Read the line of an entry."""
    id_, version, account_id, leg, layer, side, currency, amount, after = line[:-1].split("\t")
    numbers = (int(version), int(account_id), int(leg), int(layer), int(side))
    return EntryFacts(id_, *numbers, currency, int(amount), int(after))
