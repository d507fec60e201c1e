"""What is compared: lines of statements, and entries of the books on the same account.

Amounts are in minor units, and positive when they make the account larger. An entry is all that a transaction moved on the
account; the texts by which the outside may know it are its *references*.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from domain.ids import timeless_id

NAMED_BY = frozenset(("flow_id", "client_id", "fill_id", "id", "memo", "quote_id", "caused_by", "provider_id"))
"""The names, in the metadata of transactions, of what the outside knows them by."""


class Scope(NamedTuple):
    """What is compared at once: what a source says of an account in a currency."""

    source: str
    account: str
    currency: str


class Line(NamedTuple):
    """A line of a statement."""

    id: str
    at_ms: int
    amount: int
    reference: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """By what an entry may be known to be meant: its reference as it is, or as the key of a posting."""
        return (self.reference, timeless_id("TRANSFER", self.reference)) if self.reference else ()


class Corrects(NamedTuple):
    """The break that an entry corrects: the lines and the transactions that were in it."""

    break_id: str
    line_ids: tuple[str, ...]
    transaction_ids: tuple[str, ...]


class Entry(NamedTuple):
    """What a transaction moved on the account; `account` is the leaf that it is on, `matter` what it belongs to."""

    id: str
    at_ms: int
    amount: int
    account: str = ""
    references: tuple[str, ...] = ()
    matter: str = ""
    reverses: str | None = None
    corrects: Corrects | None = None


def entry_of(id_: str, at_ms: int, amount: int, account: str, matter: str, reverses: str | None, meta: str) -> Entry:
    """Return an entry with what its transaction's metadata says of it."""
    told = json.loads(meta)
    return Entry(id_, at_ms, amount, account, (id_, *_texts(told)), matter, reverses, _corrects(told, account))


def _texts(told: object) -> Iterator[str]:
    if isinstance(told, Mapping):
        for name, value in told.items():
            if isinstance(value, str) and name in NAMED_BY:
                yield value
            yield from _texts(value)


def _corrects(told: Mapping[str, Any], account: str) -> Corrects | None:
    # On the account that stands against it, it is an entry like any other.
    if "break_id" not in told or told["account"] != account:
        return None
    return Corrects(told["break_id"], tuple(told["line_ids"]), tuple(told["transaction_ids"]))
