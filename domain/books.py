"""The books in memory: accounts, and one row of totals per account and currency.

A row is a plain list of integers, because the fold goes over it for every entry:

    [version, settled debit, settled credit, pending debit, pending credit, encumbered debit, encumbered credit,
     account id, 1 if the account has limits]

The totals of a layer stand at `2 * layer - 1` (debit) and `2 * layer` (credit).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.accounts import Account
from domain.journal import Balance, Verdict

VERSION, ACCOUNT_ID, LIMITED = 0, 7, 8
TOTALS = slice(1, 7)

Key = tuple[str, str]
"""Account code and currency."""

Row = list[int]


class Known(NamedTuple):
    """An id that the ledger has answered: with what body, why not if it was rejected, and which other bodies came."""

    body_hash: str
    rejection: Verdict | None = None
    conflicts: tuple[str, ...] = ()


@dataclass(slots=True)
class Books:
    """What a batch is judged by.

    `known` has at least every id of the batch that was answered before, `originals` at least every posted transaction
    that the batch reverses, with whether it already is reversed. What is effective before `closed_until_ms` is refused.
    """

    accounts: Mapping[str, Account]
    rows: dict[Key, Row] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)
    originals: Mapping[str, bool] = field(default_factory=dict)
    closed_until_ms: int = 0


def blank(account: Account) -> Row:
    """The row of an account without entries."""
    limited = account.min_available is not None or account.max_balance is not None
    return [0, 0, 0, 0, 0, 0, 0, account.id, int(limited)]


def available(row: Row, account: Account) -> int:
    """Settled money less what is pending or promised on the other side, in the account's normal direction."""
    if account.normal_side > 0:
        return row[1] - row[2] - row[4] - row[6]
    return row[2] - row[1] - row[3] - row[5]


def reachable(row: Row, account: Account) -> int:
    """Settled money with what is pending or promised to come, in the account's normal direction."""
    if account.normal_side > 0:
        return row[1] - row[2] + row[3] + row[5]
    return row[2] - row[1] + row[4] + row[6]


def balance(key: Key, row: Row) -> Balance:
    return Balance(*key, row[VERSION], *row[TOTALS])


def balances(rows: Mapping[Key, Row], keys: Iterable[Key]) -> list[Balance]:
    """The balances of these keys in order, leaving out those that have no entries."""
    return [balance(key, rows[key]) for key in sorted(keys) if key in rows]
