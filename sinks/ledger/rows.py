"""Rows of the ledger as the text that COPY takes, and the hash of what a batch holds, which the database chains.

What is hashed is rendered from the same values, in a form that the view `ledger.batch_lines` renders again from the
tables. Of metadata, expiry and group only the body hash is in it, which covers them; of what was refused, a hash of the text
that is kept of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from domain.ledger.body import cause_text, payload
from domain.ledger.books import ACCOUNT_ID, VERSION, Books, Key, Row
from domain.ledger.journal import Transaction
from domain.ledger.judge import Folded, Posted, Refused

TX_COLUMNS = (
    "tx_id, effective_at, position, n_entries, correlation_id, cause_tx_id, relation, is_final, expires_at, group_id, "
    "group_size, n_added, template, source, source_offset, body_hash, meta, batch_id"
)
ENTRY_COLUMNS = "tx_id, version, account_id, leg, layer, side, currency, amount, balance_after"
REJECT_COLUMNS = (
    "tx_id, position, reason, account, currency, shortfall, template, source, source_offset, body_hash, payload, batch_id"
)
CONFLICT_COLUMNS = "tx_id, template, source, source_offset, body_hash, payload, batch_id"

BALANCE_COLUMNS = (
    "version",
    "settled_debit",
    "settled_credit",
    "pending_debit",
    "pending_credit",
    "encumbered_debit",
    "encumbered_credit",
)

_NULL = r"\N"
_NO_TIES = "\t".join([_NULL] * 6) + "\t0"
_BACKSLASH, _TWO = "\\", r"\\"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


Columns = list[str]
"""Balances as one array per column, as the database reads them: account id, currency, version before, totals after."""


class Rendered(NamedTuple):
    """A batch as text; the lines of all but the entries still lack their last column, the batch id."""

    headers: list[str]
    entries: bytes
    rejects: list[str]
    conflicts: list[str]
    updated: Columns
    opened: Columns
    content_hash: bytes


def render(books: Books, folded: Folded) -> Rendered:
    """The rows of a batch that was folded on these books, and the hash of their lines."""
    entries = "".join(folded.entries).encode()
    headers, lines = _headers(folded.posted)
    digest = sha256("".join(lines).encode())
    digest.update(entries)
    digest.update("".join([_chained_reject(refused) for refused in folded.rejected]).encode())
    digest.update("".join(sorted([_chained_conflict(refused) for refused in folded.conflicts])).encode())
    changed = sorted(folded.rows)
    return Rendered(
        headers,
        entries,
        [_reject(position, refused) for position, refused in enumerate(folded.rejected, 1)],
        [_conflict(refused) for refused in folded.conflicts],
        _balances(books, folded.rows, [key for key in changed if key in books.rows]),
        _balances(books, folded.rows, [key for key in changed if key not in books.rows]),
        digest.digest(),
    )


def with_batch(lines: Sequence[str], batch_id: int) -> bytes:
    """The lines with the batch id as their last column."""
    end = f"\t{batch_id}\n"
    return (end.join(lines) + end).encode()


def _balances(books: Books, rows: Mapping[Key, Row], keys: Sequence[Key]) -> Columns:
    if not keys:
        return []
    written = [rows[key] for key in keys]
    before = [books.rows[key][VERSION] if key in books.rows else 0 for key in keys]
    columns: list[Sequence[object]] = [[row[ACCOUNT_ID] for row in written], [currency for _, currency in keys], before]
    columns += [[row[index] for row in written] for index in range(len(BALANCE_COLUMNS))]
    return ["{" + ",".join(map(str, column)) + "}" for column in columns]


def _headers(posted: Iterable[Posted]) -> tuple[list[str], list[str]]:
    """The rows of transactions, and the lines by which they are hashed; in one loop, since both are made of the same values."""
    rows: list[str] = []
    lines: list[str] = []
    for position, (transaction, body, added) in enumerate(posted, 1):
        id_, template, at_ms, entries, correlation_id, source, offset, meta, cause, expires_at_ms, group = transaction
        if cause is None and expires_at_ms is None and group is None:
            named, ties = "-", _NO_TIES
        else:
            named, ties = "-" if cause is None else cause_text(cause), _ties(transaction, len(added))
        rows.append(
            f"{id_}\t{_at(at_ms)}\t{position}\t{len(entries) + len(added)}\t{correlation_id}\t"
            f"{ties}\t{_escaped(template)}\t{_escaped(source)}\t{offset}\t\\\\x{body}\t{meta.replace(_BACKSLASH, _TWO)}"
        )
        lines.append(f"{id_}\t{template}\t{at_ms}\t{correlation_id}\t{named}\t{source}\t{offset}\t{body}\n")
    return rows, lines


@lru_cache(4096)
def _at(at_ms: int) -> str:
    # Much happens in the same millisecond, and all of a batch within some seconds.
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}+00"


def _ties(transaction: Transaction, n_added: int) -> str:
    """Cause, expiry and group, and how many entries are the ledger's own."""
    cause, expires_at_ms, group = transaction[8:11]
    told = (
        cause and cause.transaction_id,
        cause and cause.relation.value,
        cause and ("t" if cause.is_final else "f"),
        None if expires_at_ms is None else _at(expires_at_ms),
        group and group.id.translate(_ESCAPES),
        group and group.size,
    )
    return "\t".join([*(_NULL if fact is None else str(fact) for fact in told), str(n_added)])


def _reject(position: int, refused: Refused) -> str:
    verdict = refused.verdict
    told = (verdict.reason, verdict.account, verdict.currency, verdict.shortfall)
    columns = "\t".join([_NULL if fact is None else _escaped(str(fact)) for fact in told])
    return f"{verdict.transaction_id}\t{position}\t{columns}\t{_kept(refused)}"


def _chained_reject(refused: Refused) -> str:
    id_, _, *told = refused.verdict
    transaction = refused.transaction
    facts = "\t".join([_NULL if fact is None else str(fact) for fact in told])
    source = f"{transaction.template}\t{transaction.source}\t{transaction.source_offset}"
    return f"{id_}\t{facts}\t{source}\t{refused.body_hash}\t{_payload_hash(transaction)}\n"


def _chained_conflict(refused: Refused) -> str:
    transaction = refused.transaction
    source = f"{transaction.template}\t{transaction.source}\t{transaction.source_offset}"
    return f"{transaction.id}\t{refused.body_hash}\t{source}\t{_payload_hash(transaction)}\n"


def _payload_hash(transaction: Transaction) -> str:
    return sha256(payload(transaction).encode()).hexdigest()


def _conflict(refused: Refused) -> str:
    return f"{refused.verdict.transaction_id}\t{_kept(refused)}"


def _kept(refused: Refused) -> str:
    transaction: Transaction = refused.transaction
    source = f"{_escaped(transaction.template)}\t{_escaped(transaction.source)}\t{transaction.source_offset}"
    return f"{source}\t\\\\x{refused.body_hash}\t{payload(transaction).translate(_ESCAPES)}"


@lru_cache(1024)
def _escaped(text: str) -> str:
    # Templates, sources and reasons are few, and each stands in thousands of rows.
    return text.translate(_ESCAPES)


@lru_cache(65536)
def _second(at_seconds: int) -> str:
    return datetime.fromtimestamp(at_seconds, UTC).isoformat(" ")[:19]
