"""User trades spread over shards: a leaf per shard below the accounts that every one of them books.

A shard has one writer, and every user trade books the same four accounts, so by themselves they would all be one shard's. With
several shards each of those accounts is the sum of its leaves, `STABLESATS_OMNIBUS/02` for shard 2, and takes no entries of
its own. A trade is booked as a whole in one shard, with all of its bookings and reversals: its matter says in which, so a
reversal meets what it takes back. What books other accounts too, as a fill does, is booked in the first shard.

How many shards there are is fixed for a ledger: in another number a trade would be looked for where it is not.

Whoever decides on such an account hears the sum: it is as old as the oldest word of a leaf, and is not said before all were
heard.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from zlib import crc32

from domain.ledger.accounts import Account, account_of
from domain.ledger.books import Key
from domain.ledger.journal import Transaction
from domain.messages.ledger import LedgerBalance
from domain.streams.records import Record, Snapshot

SPREAD = ("EXTERNAL_OMNIBUS", "STABLESATS_BTC_WALLET", "STABLESATS_OMNIBUS", "STABLESATS_LIABILITY")
"""The accounts of user trades."""

_SPREAD = frozenset(SPREAD)


def leaf_of(code: str, shard: int) -> str:
    """Return what an account is called in a shard: its leaf, if it has leaves."""
    return account_of(code, f"{shard:02d}") if code in _SPREAD else code


def with_leaves(accounts: Sequence[Account], shards: Sequence[int]) -> tuple[Account, ...]:
    """Return a chart with leaves for these shards behind it; one shard needs none."""
    split = [one for one in accounts if one.code in _SPREAD and len(shards) > 1]
    return (*accounts, *(_leaf(one, shard) for one in split for shard in shards))


def _leaf(summary: Account, shard: int) -> Account:
    code, meaning = leaf_of(summary.code, shard), f"shard {shard}: {summary.meaning}"
    return summary._replace(id=0, code=code, meaning=meaning, parent=summary.code, shard=shard)


def shard_of(transaction: Transaction, shards: Sequence[int]) -> int:
    """Return the shard that books a posting."""
    if all(entry.account in _SPREAD for entry in transaction.entries):
        return shards[crc32(transaction.correlation_id.encode()) % len(shards)]
    return shards[0]


def on_leaves(transaction: Transaction, shards: Sequence[int], shard: int) -> Transaction | None:
    """Return a posting on the leaves of a shard, or None if another one of these books it."""
    if shard_of(transaction, shards) != shard:
        return None
    entries = [entry._replace(account=leaf_of(entry.account, shard)) for entry in transaction.entries]
    return transaction._replace(entries=tuple(entries))


def watched_in(keys: Iterable[Key], shards: Sequence[int], shard: int) -> list[Key]:
    """Return which of these accounts and currencies are in a shard, as they are called there."""
    return [(leaf_of(code, shard), currency) for code, currency in keys if code in _SPREAD or shard == shards[0]]


class Sums:
    """A machine that hears balances, and says of every account with leaves in these shards what they come to."""

    version = 1

    def __init__(self, shards: Sequence[int], snapshot: Snapshot | None = None) -> None:
        self._summary_of = {leaf_of(code, shard): code for code in SPREAD for shard in shards}
        self._leaves = len(shards)
        self._heard: dict[Key, dict[str, LedgerBalance]] = {}
        for balance in snapshot or ():
            self._hear(LedgerBalance.model_validate_json(balance))

    def apply(self, _at_ms: int, records: Sequence[Record[LedgerBalance]]) -> Iterator[LedgerBalance]:
        """Hear what was said in an instant, then say each sum that it changed or made younger."""
        changed: dict[Key, None] = {}
        for record in records:
            if record.value.account in self._summary_of:
                changed[self._hear(record.value)] = None
        for account, currency in changed:
            leaves = self._heard[account, currency]
            if len(leaves) == self._leaves:
                yield _sum(account, leaves.values())

    def _hear(self, balance: LedgerBalance) -> Key:
        side = (self._summary_of[balance.account], balance.currency)
        self._heard.setdefault(side, {})[balance.account] = balance
        return side

    def wake_at_ms(self) -> int | None:
        """Never: sums are said when something is heard."""
        return None

    def wake(self, _at_ms: int) -> Iterable[LedgerBalance]:
        """Nothing."""
        return ()

    def gauges(self) -> Mapping[str, int]:
        """Nothing to measure."""
        return {}

    def snapshot(self) -> Snapshot:
        """The newest word of each leaf."""
        return tuple(balance.model_dump_json() for leaves in self._heard.values() for balance in leaves.values())


def _sum(account: str, leaves: Iterable[LedgerBalance]) -> LedgerBalance:
    found = list(leaves)
    return LedgerBalance(
        account=account,
        currency=found[0].currency,
        version=sum(leaf.version for leaf in found),
        settled=sum(leaf.settled for leaf in found),
        pending=sum(leaf.pending for leaf in found),
        encumbered=sum(leaf.encumbered for leaf in found),
        as_of=min(leaf.as_of for leaf in found),
    )
