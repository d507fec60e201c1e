"""Transactions that cross shards: one part per shard, each balanced by itself through clearing accounts.

A shard has one writer and its own accounts, so no transaction can be atomic over two of them. Each part therefore ends on
a clearing account: what shard 1 owes shard 0 stands on `CLEARING/1/0`, and the same amount the other way round on
`CLEARING/0/1`. Together the two come to zero once both parts are posted; until then, or if one part was refused, what is
left on them is the break, with amount and age (the view `ledger.clearing_breaks`). All parts go through one home shard, so
that a transaction over n shards needs n - 1 pairs. This is how Stripe's ledger finds what is missing.

The home shard is the one with the limits: it books its part first, and what is left to others follows when that is posted, on
the topic `ledger.crossings`. Only settled money crosses; a hold, and its end, lives in one shard.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any

from domain.ids import timed_id
from domain.ledger.accounts import Account
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction, reversal_of
from domain.messages.ledger import Crossing

CLEARING = "Clearing"
_FIRST_ID, _SHARDS_MAX = 800, 10


def clearing_code(shard: int, other: int) -> str:
    """The account of `shard` for what it has with the other one."""
    return f"CLEARING/{shard}/{other}"


def clearing_accounts(shards: Iterable[int]) -> list[Account]:
    """The accounts that join these shards, each pair by two; shards are 0 to 9."""
    return [
        Account(
            _FIRST_ID + shard * _SHARDS_MAX + other,
            clearing_code(shard, other),
            DEBIT,
            CLEARING,
            meaning=f"what shard {shard} has to get from shard {other}",
            shard=shard,
        )
        for shard, other in permutations(shards, 2)
    ]


def part_id(transaction_id: str, shard: int) -> str:
    """The id of a transaction's part in a shard; it keeps the time in front."""
    at_ms = int(transaction_id[:8] + transaction_id[9:13], 16)
    return timed_id(at_ms, transaction_id, "shard", str(shard))


def split(transaction: Transaction, shard_of: Callable[[str], int], home: int) -> dict[int, Transaction]:
    """The parts by shard, the home shard's first; a transaction within one shard stays as it is."""
    by_shard: dict[int, list[Entry]] = {home: []}
    for entry in transaction.entries:
        by_shard.setdefault(shard_of(entry.account), []).append(entry)
    if not by_shard[home]:
        del by_shard[home]
    if len(by_shard) < 2:
        return dict.fromkeys(by_shard, transaction)
    by_shard.setdefault(home, [])
    abroad = [shard for shard in by_shard if shard != home]
    for shard in abroad:
        for currency, layer, net in _nets(by_shard[shard]):
            by_shard[shard].append(_entry(clearing_code(shard, home), currency, layer, -net))
            by_shard[home].append(_entry(clearing_code(home, shard), currency, layer, net))
    parts = {shard: by_shard[shard] for shard in (home, *abroad)}
    return {shard: _part(transaction, entries, shard, home) for shard, entries in parts.items() if entries}


def home_part(transaction: Transaction, shard_of: Callable[[str], int], home: int) -> Transaction:
    """Return what the home shard books of a transaction, with what it leaves to others in its metadata.

    So the books themselves say what has to follow, and a replay finds it there. What is held stays whole, and is refused by
    the ledger, which does not know the accounts of other shards.
    """
    if any(entry.layer is not Layer.SETTLED for entry in transaction.entries):
        return transaction
    parts = split(transaction, shard_of, home)
    if home not in parts or len(parts) == 1:
        return transaction
    own = parts.pop(home)
    left = {str(shard): _left(part) for shard, part in parts.items()}
    said = json.loads(own.meta)
    return own._replace(meta=meta_text({**said, "crosses": {**said["crosses"], "left": left}}))


def crossings_of(part: Transaction) -> Iterator[Crossing]:
    """Yield what other shards have to book, now that the home part is posted."""
    if '"crosses"' not in part.meta:
        return  # as nearly always
    crosses = json.loads(part.meta).get("crosses", {})
    for shard, left in crosses.get("left", {}).items():
        yield Crossing(
            id=part_id(crosses["transaction_id"], int(shard)),
            shard=int(shard),
            home=crosses["home"],
            transaction_id=crosses["transaction_id"],
            template=part.template,
            effective_at=part.effective_at_ms,
            entries=tuple(tuple(entry) for entry in left["entries"]),
            reverses=left["reverses"],
            correlation_id=part.correlation_id,
            source=part.source,
            source_offset=part.source_offset,
        )


def arriving(crossing: Crossing, shard: int) -> Transaction | None:
    """Return what a shard has to book of a crossing, or None if it is for another shard."""
    if crossing.shard != shard:
        return None
    entries = [Entry(code, currency, Layer(layer), side, n) for code, currency, layer, side, n in crossing.entries]
    return Transaction(
        crossing.id,
        crossing.template,
        crossing.effective_at,
        tuple(entries),
        crossing.correlation_id,
        crossing.source,
        crossing.source_offset,
        meta_text({"crosses": {"home": crossing.home, "transaction_id": crossing.transaction_id}}),
        None if crossing.reverses is None else reversal_of(crossing.reverses),
    )


def _left(part: Transaction) -> dict[str, Any]:
    entries = [[code, currency, int(layer), side, amount] for code, currency, layer, side, amount in part.entries]
    return {"entries": entries, "reverses": part.reverses}


def _nets(entries: Sequence[Entry]) -> list[tuple[str, Layer, int]]:
    net: dict[tuple[str, Layer], int] = {}
    for _, currency, layer, side, amount in entries:
        net[currency, layer] = net.get((currency, layer), 0) + side * amount
    return [(currency, layer, amount) for (currency, layer), amount in net.items() if amount]


def _entry(account: str, currency: str, layer: Layer, net: int) -> Entry:
    return Entry(account, currency, layer, DEBIT if net > 0 else CREDIT, abs(net))


def _part(transaction: Transaction, entries: Sequence[Entry], shard: int, home: int) -> Transaction:
    cause = transaction.cause
    return transaction._replace(
        id=part_id(transaction.id, shard),
        entries=tuple(entries),
        cause=cause and cause._replace(transaction_id=part_id(cause.transaction_id, shard)),
        meta=meta_text({**json.loads(transaction.meta), "crosses": {"home": home, "transaction_id": transaction.id}}),
    )
