"""The hash of every body, computed again: DuckDB has no BLAKE2b, and a body is a text of ours.

The chain of batches binds the hash of a body, not the body. What is only in it is metadata, expiry and group; so whoever
turns a word of the metadata shows here, and nowhere else.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from app.reports.audit.checks import ROWS_MAX, Check, Row, rows_of
from domain.ledger.body import body_hash
from domain.ledger.journal import Cause, Entry, Group, Layer, Relation, Transaction
from domain.proof.evidence import misquoted
from domain.proof.rows import KeptRow
from sinks.archive.parquet import Duck

_POSTED = """
SELECT t.tx_id, t.template, t.effective_at_us, t.correlation_id, t.source, t.source_offset, t.meta, t.relation, t.cause_tx_id,
    t.is_final, t.expires_at_us, t.group_id, t.group_size, t.body_hash, e.entries
FROM tx t LEFT JOIN (
    SELECT e.tx_id, list((a.code, e.currency, e.layer, e.side, e.amount) ORDER BY e.leg) AS entries
    FROM entry e LEFT JOIN account a USING (account_id) JOIN tx t USING (tx_id)
    WHERE e.leg <= t.n_entries - t.n_added
    GROUP BY e.tx_id
) e USING (tx_id)
"""
_KEPT = """
SELECT batch_id, tx_id, template, source, source_offset, body_hash, payload, reason FROM reject
UNION ALL SELECT batch_id, tx_id, template, source, source_offset, body_hash, payload, NULL FROM conflict
"""


def _ask(opened: Duck) -> tuple[int, int, Sequence[Row]]:
    checked, rows = 0, list[Row]()
    for tx_id, wrong in (*_posted_otherwise(opened), *_kept_otherwise(opened)):
        checked += 1
        if wrong is not None:
            rows.append({"tx_id": tx_id, "wrong": wrong})
    return checked, len(rows), rows[:ROWS_MAX]


def _posted_otherwise(opened: Duck) -> Iterator[tuple[str, str | None]]:
    for row in rows_of(opened, _POSTED):
        hashed = body_hash(_posted(row))
        yield str(row[0]), None if hashed == row[13] else f"its body is hashed to {hashed}, and it says {row[13]}"


def _kept_otherwise(opened: Duck) -> Iterator[tuple[str, str | None]]:
    for row in rows_of(opened, _KEPT):
        batch_id, tx_id, template, source, offset, hashed, payload, reason = row
        kept = KeptRow(batch_id, str(tx_id), template, source, offset, hashed, payload, "", 0, reason)
        yield str(tx_id), misquoted(kept)


def _posted(row: Sequence[Any]) -> Transaction:
    (
        tx_id,
        template,
        effective_at_us,
        correlation_id,
        source,
        offset,
        meta,
        relation,
        cause,
        is_final,
        expires,
        group,
        size,
    ) = row[:13]
    legs = tuple(
        [Entry(code, currency, Layer(layer), side, int(amount)) for code, currency, layer, side, amount in row[14] or ()]
    )
    return Transaction(
        str(tx_id),
        template,
        _ms(effective_at_us),
        legs,
        str(correlation_id),
        source,
        offset,
        meta,
        None if relation is None else Cause(Relation(relation), str(cause), is_final),
        None if expires is None else _ms(expires),
        None if group is None else Group(group, size),
    )


def _ms(at_us: int) -> int:
    """Return milliseconds; part of one was never posted, and must not be lost on the way."""
    whole, part = divmod(at_us, 1000)
    return -at_us if part else whole


CHECK = Check(
    "I5_every_transaction_has_the_body_of_its_hash",
    "the body of every transaction, metadata included, is the one that its hash names, posted or refused",
    "transactions, posted or refused",
    _ask,
)
