"""Holds: money that is promised before it moves, and the four ways in which that ends.

    hold      PENDING   DR giver   CR taker       what is available of the giver falls at once
    capture   PENDING   releases part or all; SETTLED moves it; the ledger releases the rest, unless more is to come
    void      nothing of its own: the ledger releases what is left
    expire    the same, from the hold's end on; its id comes from the hold, so it does not matter who notices it first

Sides are those of credit-normal accounts, as users' balances are: a debit takes from the giver.
"""

from collections.abc import Mapping

from domain.ids import timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Cause, Entry, Layer, Relation, Transaction

HOLD, CAPTURE, VOID, EXPIRE = "HOLD", "CAPTURE", "VOID", "EXPIRE"


def hold(
    key: str,
    giver: str,
    taker: str,
    currency: str,
    amount: int,
    *,
    effective_at_ms: int,
    correlation_id: str,
    source: str,
    source_offset: int,
    expires_at_ms: int | None = None,
    meta: Mapping[str, object] | None = None,
) -> Transaction:
    """Promise `amount` in minor units from giver to taker; `key` is the business key of the promise."""
    return Transaction(
        timeless_id(HOLD, key),
        HOLD,
        effective_at_ms,
        _moved(giver, taker, currency, Layer.PENDING, amount),
        correlation_id,
        source,
        source_offset,
        meta_text(meta or {}),
        expires_at_ms=expires_at_ms,
    )


def capture(
    key: str,
    held: Transaction,
    amount: int,
    *,
    effective_at_ms: int,
    source: str,
    source_offset: int,
    is_final: bool = True,
) -> Transaction:
    """Move `amount` of what was held by `hold`; `key` tells one capture of a hold from another."""
    giver, taker = held.entries[0], held.entries[1]
    released = _moved(giver.account, taker.account, giver.currency, Layer.PENDING, -amount)
    settled = _moved(giver.account, taker.account, giver.currency, Layer.SETTLED, amount)
    ending = _ending(CAPTURE, Relation.CAPTURES, held, key, effective_at_ms, source, source_offset)
    return ending._replace(entries=released + settled, cause=Cause(Relation.CAPTURES, held.id, is_final))


def void(held: Transaction, *, effective_at_ms: int, source: str, source_offset: int) -> Transaction:
    """Give back what is left of a hold."""
    return _ending(VOID, Relation.VOIDS, held, "", effective_at_ms, source, source_offset)


def expire(held: Transaction, expires_at_ms: int) -> Transaction:
    """Let a hold expire at its end, on nobody's behalf: its source is that of the hold."""
    return _ending(EXPIRE, Relation.EXPIRES, held, "", expires_at_ms, held.source, held.source_offset)


def _moved(giver: str, taker: str, currency: str, layer: Layer, amount: int) -> tuple[Entry, ...]:
    return Entry(giver, currency, layer, DEBIT, amount), Entry(taker, currency, layer, CREDIT, amount)


def _ending(
    template: str, relation: Relation, held: Transaction, key: str, effective_at_ms: int, source: str, source_offset: int
) -> Transaction:
    return Transaction(
        timeless_id(template, held.id, key),
        template,
        effective_at_ms,
        (),
        held.correlation_id,
        source,
        source_offset,
        "{}",
        Cause(relation, held.id),
    )
