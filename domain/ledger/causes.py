"""What a transaction may do to the one that it names as its cause: reverse it, capture its hold, void it, let it expire.

    reverses    takes back exactly what the original moved, once, at its own effective time, which is not earlier
    captures    releases some of what is held, by negative entries, beside the entries that settle; a final one (as most
                are) has the ledger release the rest too
    voids       gives back all that is left; carries no entries, for the ledger makes them
    expires     the same, from the time on from which the hold can do nothing else

A hold ends once, one way: finally captured, used up, voided or expired. A race is decided by the order of posting, and
the loser is told how the hold ended. The second step of a hold cannot break a limit that the first one kept.
"""

from collections.abc import Iterable, Mapping

from domain.ledger.books import Held, Key, Origin
from domain.ledger.journal import Cause, Entry, Layer, Relation, Transaction

ENDED = {Relation.CAPTURES: "captured", Relation.VOIDS: "voided", Relation.EXPIRES: "expired"}

Refusal = tuple[str, Key | tuple[None, None], int | None]
"""Reason, account and currency, shortfall."""

_NOWHERE = (None, None)


def origin_of(transaction: Transaction) -> Origin:
    """What a transaction is when it has just been posted. One that ends a hold, or part of it, holds nothing itself."""
    _, _, effective_at_ms, entries, *_, cause, expires_at_ms, _ = transaction
    return Origin(effective_at_ms, expires_at_ms, moved(entries), {} if cause else held_by(entries))


def moved(entries: Iterable[Entry]) -> dict[Key, int]:
    """What the settled entries come to, debits positive, without what comes to nothing."""
    net: dict[Key, int] = {}
    for account, currency, layer, side, amount in entries:
        if layer == Layer.SETTLED:
            net[account, currency] = net.get((account, currency), 0) + side * amount
    return {key: amount for key, amount in net.items() if amount}


def held_by(entries: Iterable[Entry]) -> dict[Held, int]:
    """What the entries hold, or release where it is negative; in their order, and without what comes to nothing."""
    held: dict[Held, int] = {}
    for account, currency, layer, side, amount in entries:
        if layer != Layer.SETTLED:
            key = (account, currency, int(layer), side)
            held[key] = held.get(key, 0) + amount
    return {key: amount for key, amount in held.items() if amount}


def refused_by(origin: Origin, cause: Cause, transaction: Transaction) -> Refusal | None:
    """Why the transaction may not do to its cause what it wants to, or None if it may."""
    if transaction.effective_at_ms < origin.effective_at_ms:
        return "before_cause", _NOWHERE, None
    if cause.relation is Relation.REVERSES:
        return _reversal(origin, transaction)
    return _ending(origin, cause.relation, transaction.effective_at_ms) or _entries(origin, cause, transaction.entries)


def _reversal(origin: Origin, transaction: Transaction) -> Refusal | None:
    if origin.is_reversed:
        return "already_reversed", _NOWHERE, None
    back = moved(transaction.entries)
    is_mirror = bool(origin.settled) and {key: -net for key, net in back.items()} == dict(origin.settled)
    if not is_mirror or any(entry.layer != Layer.SETTLED for entry in transaction.entries):
        return "not_a_mirror", _NOWHERE, None
    return None


def _ending(origin: Origin, relation: Relation, at_ms: int) -> Refusal | None:
    if origin.ended is not None:
        return f"already_{origin.ended}", _NOWHERE, None
    if not origin.held:
        return "not_a_hold", _NOWHERE, None
    has_expired = origin.expires_at_ms is not None and at_ms >= origin.expires_at_ms
    if relation is Relation.EXPIRES:
        return None if has_expired else ("not_expired", _NOWHERE, None)
    return ("hold_expired", _NOWHERE, None) if has_expired else None


def _entries(origin: Origin, cause: Cause, entries: tuple[Entry, ...]) -> Refusal | None:
    if cause.relation is not Relation.CAPTURES:
        return ("unexpected_entries", _NOWHERE, None) if entries else None
    for account, currency, layer, _, amount in entries:
        if layer != Layer.SETTLED and amount > 0:
            return "unexpected_hold", (account, currency), None
    released = held_by(entries)
    if not released and not cause.is_final:
        return "nothing_captured", _NOWHERE, None
    for key, amount in released.items():
        over = -amount - origin.held.get(key, 0)
        if over > 0:
            return "over_capture", key[:2], over
    return None


def added_entries(origin: Origin, cause: Cause, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries by which the ledger itself releases what is left when a hold ends."""
    if cause.relation is Relation.REVERSES or not cause.is_final:
        return ()
    left = _left(origin.held, entries)
    return tuple(
        [Entry(account, currency, Layer(layer), side, -amount) for (account, currency, layer, side), amount in left]
    )


def _left(held: Mapping[Held, int], entries: Iterable[Entry]) -> list[tuple[Held, int]]:
    released = held_by(entries)
    left = [(key, amount + released.get(key, 0)) for key, amount in held.items()]
    return [(key, amount) for key, amount in left if amount]


def origin_after(origin: Origin, cause: Cause, entries: tuple[Entry, ...]) -> Origin:
    """The cause once the transaction is posted, with all of its entries."""
    if cause.relation is Relation.REVERSES:
        return origin._replace(is_reversed=True)
    left = dict(_left(origin.held, entries))
    return origin._replace(held=left, ended=None if left else ENDED[cause.relation])
