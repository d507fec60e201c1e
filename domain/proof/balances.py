"""What the entries of every account come to, followed from entry to entry, and the balances that say something else.

A balance is the sum of its entries, and nothing but a copy: no hash covers it. What was cut off from the end of a ledger,
batches and rows, shows here alone.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.proof.rows import BALANCE_COLUMNS, NO_HASH, AccountRow, Cells, EntryRow

_BLANK = [0] * len(BALANCE_COLUMNS[2:])

_Key = tuple[int, str]


@dataclass(slots=True)
class Followed:
    """How far the entries have been followed: version and totals by account number and currency, as a balance has them.

    `doubtful` are those where an entry did not follow the one before it. `accounts_hashes` are those that the history of the
    accounts has.
    """

    accounts: Mapping[int, AccountRow]
    accounts_hashes: Container[str] = (NO_HASH,)
    rows: dict[_Key, list[int]] = field(default_factory=dict)
    doubtful: set[_Key] = field(default_factory=set)


def follow(followed: Followed, entries: Iterable[EntryRow], bad_bodies: frozenset[str]) -> Iterator[EntryRow]:
    """Go on from entry to entry, and give those that do not follow the one before them.

    What is gone on from then is what is most likely true: the balance as written if the amount was changed, the sum of the
    amounts if the balance was, and the entry as it stands if some before it are missing.
    """
    for entry in entries:
        key = (entry.account_id, entry.currency)
        row = followed.rows.get(key) or followed.rows.setdefault(key, [*_BLANK])
        debit = 2 * entry.layer - 1
        slot = debit if entry.side > 0 else debit + 1
        row[0] += 1
        row[slot] += entry.amount
        off_by = entry.balance_after - (row[debit] - row[debit + 1])
        if entry.version == row[0] and not off_by:
            continue
        is_gap = entry.version != row[0] and off_by != 0
        if is_gap:
            row[0] = entry.version
        if is_gap or entry.tx_id in bad_bodies:
            row[slot] += entry.side * off_by
        followed.doubtful.add(key)
        yield entry


class OtherBalance(NamedTuple):
    """A version or a total that is not what the entries come to; `said` is None if there is no such balance."""

    account: str
    currency: str
    column: str
    said: int | None
    counted: int


def other_balances(followed: Followed, balances: Iterable[Cells]) -> Iterator[OtherBalance]:
    """Every difference. Where an entry is broken nothing is known of the sum, and nothing is said of the balance."""
    unseen = {key: row for key, row in followed.rows.items() if key not in followed.doubtful}
    for number, currency, *cells in balances:
        try:
            key, totals = (int(number), currency), [int(cell) for cell in cells]
        except ValueError:
            yield OtherBalance(number, currency, "unreadable", None, 0)
            continue
        if key not in followed.doubtful:
            yield from _compared(followed, key, totals, unseen.pop(key, _BLANK))
    for (account_id, currency), counted in sorted(unseen.items()):
        yield OtherBalance(_code(followed, account_id), currency, "version", None, counted[0])


def _compared(followed: Followed, key: _Key, totals: list[int], counted: list[int]) -> Iterator[OtherBalance]:
    for column, said, came_to in zip(BALANCE_COLUMNS[2:], totals, counted, strict=False):
        if said != came_to:
            yield OtherBalance(_code(followed, key[0]), key[1], column, said, came_to)


def _code(followed: Followed, account_id: int) -> str:
    account = followed.accounts.get(account_id)
    return str(account_id) if account is None else account.code
