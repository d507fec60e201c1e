"""The load: two accounts trade bitcoin for dollars, four entries a transaction, the same every time.

The buyer takes bitcoin from the seller and pays dollars, so each currency nets to zero. Three transactions in ten have one
of eight hot accounts as their buyer. One account in ten has a limit, far off, which has to be judged all the same. All about
a transaction follows from its number; ids sort by time, 20 to the millisecond, as those of a busy source do, while what they
correlate by is spread out.

Of the transactions that have to be rejected a third each is beyond a limit, unbalanced, or names no account.
"""

from typing import NamedTuple

from domain.ids import content_id, timed_id
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction

START_MS = 1_700_000_000_000
PER_MS = 20
HOT_ACCOUNTS = 8
EMPTY_ACCOUNTS = 8
SATS_MAX, CENTS_MAX = 1_000_000, 100_000
NOBODY = "BENCH_NOBODY"
_BITS = 2**64 - 1


class Load(NamedTuple):
    """Between how many accounts of which shard, and how many transactions of a hundred are to be rejected."""

    accounts: int = 200
    rejected_percent: int = 0
    shard: int = 0


def account_code(shard: int, index: int) -> str:
    """The code of one of the accounts that trade."""
    return f"BENCH_{shard}_{index:07d}"


def empty_code(shard: int, index: int) -> str:
    """The code of one of the accounts that have nothing and may not owe."""
    return f"BENCH_{shard}_EMPTY_{index}"


def transactions(load: Load, first: int, count: int) -> list[Transaction]:
    """Transactions number `first` and up."""
    return [_transaction(load, number) for number in range(first, first + count)]


def _transaction(load: Load, number: int) -> Transaction:
    name, at_ms = f"{load.shard}-{number}", START_MS + number // PER_MS
    return Transaction(
        timed_id(at_ms, "bench", name),
        "BENCH_TRADE",
        at_ms,
        _entries(load, number),
        content_id("bench", name),
        "bench/0",
        number,
        meta_text({"memo": f"trade {name}"}),
    )


def _entries(load: Load, number: int) -> tuple[Entry, ...]:
    chance, percent = divmod(mixed(2 * number), 100)
    chance, sats = divmod(chance, SATS_MAX)
    wrong, cents = divmod(chance, CENTS_MAX)
    buyer, seller = _parties(load, number)
    if percent >= load.rejected_percent:
        return _trade(buyer, seller, sats + 1, cents + 1)
    match wrong % 3:
        case 0:
            return _trade(empty_code(load.shard, wrong % EMPTY_ACCOUNTS), seller, sats + 1, cents + 1)
        case 1:
            return _trade(buyer, seller, sats + 1, cents + 1, missing_cents=1)
        case _:
            return _trade(buyer, NOBODY, sats + 1, cents + 1)


def _parties(load: Load, number: int) -> tuple[str, str]:
    """Two different accounts."""
    chance, ten = divmod(mixed(2 * number + 1), 10)
    chance, buyer = divmod(chance, HOT_ACCOUNTS if ten < 3 else load.accounts)
    seller = (buyer + 1 + chance % (load.accounts - 1)) % load.accounts
    return account_code(load.shard, buyer), account_code(load.shard, seller)


def _trade(buyer: str, seller: str, sats: int, cents: int, missing_cents: int = 0) -> tuple[Entry, ...]:
    return (
        Entry(buyer, "BTC", Layer.SETTLED, DEBIT, sats),
        Entry(seller, "BTC", Layer.SETTLED, CREDIT, sats),
        Entry(seller, "USD", Layer.SETTLED, DEBIT, cents),
        Entry(buyer, "USD", Layer.SETTLED, CREDIT, cents + missing_cents),
    )


def mixed(number: int) -> int:
    """64 bits that look like chance: SplitMix64's finalizer, by Vigna."""
    bits = (number + 1) * 0x9E3779B97F4A7C15 & _BITS
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _BITS
    return bits ^ bits >> 31
