"""The hash of every body, computed again: DuckDB has no BLAKE2b, and a body is a text of ours.

The chain of batches binds the hash of a body, not the body. What is only in it is metadata, expiry and group; so whoever
turns a word of the metadata shows here, and nowhere else.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain

from app.reports.audit.checks import AUDIT, ROWS_MAX, Check, Row, rows_of
from domain.proof.evidence import misquoted
from domain.proof.rows import KeptRow
from sinks.archive.parquet import Duck

_POSTED = (AUDIT / "bodies.sql").read_text(encoding="utf-8")
_KEPT = """
SELECT batch_id, tx_id, template, source, source_offset, body_hash, payload, reason FROM reject
UNION ALL SELECT batch_id, tx_id, template, source, source_offset, body_hash, payload, NULL FROM conflict
"""


def _ask(opened: Duck) -> tuple[int, int, Sequence[Row]]:
    checked, breaches, rows = 0, 0, list[Row]()
    for tx_id, wrong in chain(_posted_otherwise(opened), _kept_otherwise(opened)):
        checked += 1
        breaches += wrong is not None
        if wrong is not None and len(rows) < ROWS_MAX:
            rows.append({"tx_id": tx_id, "wrong": wrong})
    return checked, breaches, rows


def _posted_otherwise(opened: Duck) -> Iterator[tuple[str, str | None]]:
    for tx_id, body, said in rows_of(opened, _POSTED):
        hashed = blake2b(str(body).encode(), digest_size=16).hexdigest()
        yield tx_id, None if hashed == said else f"its body is hashed to {hashed}, and it says {said}"


def _kept_otherwise(opened: Duck) -> Iterator[tuple[str, str | None]]:
    for row in rows_of(opened, _KEPT):
        batch_id, tx_id, template, source, offset, hashed, payload, reason = row
        kept = KeptRow(batch_id, str(tx_id), template, source, offset, hashed, payload, "", 0, reason)
        yield str(tx_id), misquoted(kept)


CHECK = Check(
    "I5_every_transaction_has_the_body_of_its_hash",
    "the body of every transaction, metadata included, is the one that its hash names, posted or refused",
    "transactions, posted or refused",
    _ask,
)
