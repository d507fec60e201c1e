"""Exports of small ledgers, rendered by the rules of the chain and not by its code, and what verifying them says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple

from domain.ledger.body import payload
from domain.ledger.books import Books, Origin
from domain.ledger.causes import origin_of
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Group, Layer, Relation, Transaction
from domain.ledger.judge import Folded, Posted, Refused
from domain.proof.balances import Followed, OtherBalance, other_balances
from domain.proof.batches import BatchRows, by_batch, readable
from domain.proof.rows import (
    BATCH_COLUMNS,
    CONFLICT_COLUMNS,
    ENTRY_COLUMNS,
    HEADER_COLUMNS,
    NO_HASH,
    NULL,
    REJECT_COLUMNS,
    RESOLUTION_COLUMNS,
    SUM_COLUMNS,
    AccountRow,
    batch_row,
    conflict_row,
    derived_row,
    entry_row,
    header_row,
    reject_row,
)
from domain.proof.verify import Verified, verify
from domain.times import EPOCH
from tests.domain.ledger.ledger_workloads import (
    ACCOUNTS,
    CASH,
    LIMITED,
    START_MS,
    USER,
    credit,
    debit,
    ended,
    moved,
    posting,
    reversal,
)

BY_NUMBER = {account.id: AccountRow(account.code, account.shard) for account in ACCOUNTS}
READERS: dict[str, Any] = {
    "batch": batch_row,
    "tx": header_row,
    "entry": entry_row,
    "reject": reject_row,
    "conflict": conflict_row,
    "effective_delta": derived_row,
    "resolution": derived_row,
}
COLUMNS = {
    "batch": BATCH_COLUMNS,
    "tx": HEADER_COLUMNS,
    "entry": ENTRY_COLUMNS,
    "reject": REJECT_COLUMNS,
    "conflict": CONFLICT_COLUMNS,
    "effective_delta": SUM_COLUMNS,
    "resolution": RESOLUTION_COLUMNS,
}
START_US = START_MS * 1000

Tables = dict[str, list[list[str]]]
"""An export: the rows of each table as cells."""


class Place(NamedTuple):
    """A cell of an export."""

    table: str
    row: int
    column: str


def exported(batches: Sequence[Sequence[Transaction]]) -> Tables:
    """What a ledger would export that has posted these batches: rendered here by the rules, not by its code."""
    origins: dict[str, Origin] = {}
    books = Books({account.code: account for account in ACCOUNTS}, origins=origins)
    tables, previous = Tables(), NO_HASH
    tables.update({name: [] for name in READERS})
    for number, transactions in enumerate(batches, 1):
        folded = fold(books, transactions)
        advance(books, folded)
        books.known = {**books.known, **folded.answered}
        origins.update({one.transaction.id: origin_of(one.transaction) for one in folded.posted} | folded.origins)
        previous = _export(tables, number, folded, transactions, previous)
    rows = sorted((books.accounts[code].id, currency, row) for (code, currency), row in books.rows.items())
    tables["balance"] = [[str(number), currency, *map(str, row[:7])] for number, currency, row in rows]
    return tables


def _export(tables: Tables, number: int, folded: Folded, transactions: Sequence[Transaction], previous: str) -> str:
    headers = [_header(position, posted) for position, posted in enumerate(folded.posted, 1)]
    entries = [line.removesuffix("\n").split("\t") for line in folded.entries]
    rejects = [_reject(position, refused) for position, refused in enumerate(folded.rejected, 1)]
    conflicts = sorted(map(_conflict, folded.conflicts))
    lines = [[*header[1:4], header[6], _named(header), *header[13:16]] for header in headers] + entries
    lines += [[*reject[1:10], _sha256(reject[10])] for reject in rejects]
    lines += [[*conflict[:5], _sha256(conflict[5])] for conflict in conflicts]
    content = sha256("".join("\t".join(line) + "\n" for line in lines).encode())
    repeats = len(transactions) - len(headers) - len(conflicts) - len(rejects)
    counts = [len(headers), len(entries), repeats, len(conflicts), len(rejects)]
    facts = [number, 0, 1, *counts, _spans(transactions), START_US + number, NO_HASH]
    told = "\t".join(map(str, facts)).encode()
    digest = sha256(bytes.fromhex(previous) + content.digest() + told).hexdigest()
    batch = [*facts[1:], previous, content.hexdigest(), digest]
    derived = _sums(headers, entries), _resolutions(headers)
    for table, rows in zip(READERS, ([batch], headers, entries, rejects, conflicts, *derived), strict=True):
        tables[table] += [[str(number), *map(str, row)] for row in rows]
    return digest


def _spans(transactions: Sequence[Transaction]) -> str:
    offsets = [one.source_offset for one in transactions]
    return f'{{"test/0": [{min(offsets)}, {max(offsets)}]}}'


def _sums(headers: list[list[str]], entries: list[list[str]]) -> list[list[str]]:
    days = {header[1]: EPOCH + timedelta(milliseconds=int(header[3])) for header in headers}
    sums: Counter[tuple[str, ...]] = Counter()
    for id_, _, account, _, layer, side, currency, amount, _ in entries:
        sums[account, currency, layer, str(days[id_].date())] += int(side) * int(amount)
    return [[*key, str(delta)] for key, delta in sorted(sums.items())]


def _resolutions(headers: list[list[str]]) -> list[list[str]]:
    became = {"reverses": "reversed", "captures": "captured", "voids": "voided", "expires": "expired"}
    return [[header[1], header[8], became[header[7]], header[9]] for header in headers if header[7] != NULL]


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _named(header: list[str]) -> str:
    return "-" if header[7] == NULL else f"{header[7]} {header[8]}"


def _header(position: int, posted: Posted) -> list[str]:
    one, cause = posted.transaction, posted.transaction.cause
    ties = [NULL] * 3 if cause is None else [str(cause.relation), cause.transaction_id, "t" if cause.is_final else "f"]
    expires = NULL if one.expires_at_ms is None else str(one.expires_at_ms)
    counts = [str(len(one.entries) + len(posted.added)), str(len(posted.added))]
    first = [str(position), one.id, one.template, str(one.effective_at_ms), *counts, one.correlation_id, *ties, expires]
    group = [NULL, NULL] if one.group is None else [one.group.id, str(one.group.size)]
    return [*first, *group, one.source, str(one.source_offset), posted.body_hash, one.meta]


def _reject(position: int, refused: Refused) -> list[str]:
    verdict, one = refused.verdict, refused.transaction
    said = [NULL if fact is None else str(fact) for fact in (verdict.account, verdict.currency, verdict.shortfall)]
    where = [one.template, one.source, str(one.source_offset)]
    return [str(position), verdict.transaction_id, str(verdict.reason), *said, *where, refused.body_hash, payload(one)]


def _conflict(refused: Refused) -> list[str]:
    one = refused.transaction
    return [one.id, refused.body_hash, one.template, one.source, str(one.source_offset), payload(one)]


def batches_of(tables: Tables) -> Iterator[BatchRows]:
    """The rows of an export, batch by batch."""
    return by_batch(*(readable(read, tables[name]) for name, read in READERS.items()))


def checked(tables: Tables, followed: Followed | None = None) -> list[Verified]:
    """What verifying an export says."""
    return list(verify(followed or Followed(BY_NUMBER), batches_of(tables)))


def differing(tables: Tables) -> list[OtherBalance]:
    """The balances that are not what their entries come to."""
    followed = Followed(BY_NUMBER)
    checked(tables, followed)
    return list(other_balances(followed, tables["balance"]))


def broken(tables: Tables) -> dict[int, tuple[str, ...]]:
    """The batches that are broken, and what in them."""
    return {one.batch_id: tuple(map(str, one.parts)) for one in checked(tables) if one.faults}


def changed(tables: Tables, place: Place, value: str) -> Tables:
    """The same export with another value in one cell."""
    rows = [list(row) for row in tables[place.table]]
    rows[place.row][COLUMNS[place.table].index(place.column)] = value
    return {**tables, place.table: rows}


HOLD = moved(10, USER, CASH, 9, Layer.PENDING)._replace(expires_at_ms=1_800_000_000_000)
OTHER = moved(1, CASH, USER, 51)
BATCHES = (
    (moved(1, CASH, USER, 50), moved(2, CASH, LIMITED, 20)),
    (moved(3, CASH, USER, 5), moved(4, LIMITED, CASH, 99), HOLD, moved(5, USER, CASH, 7)),
    (reversal(6, moved(3, CASH, USER, 5)), moved(7, LIMITED, CASH, 500)),
    (ended(11, HOLD, Relation.VOIDS), moved(8, CASH, USER, 4), OTHER, moved(2, CASH, LIMITED, 20)),
    tuple(moved(number, CASH, USER, number)._replace(group=Group("both", 2)) for number in (9, 12)),
    (posting(13, debit(CASH, Decimal("1.5")), credit(USER, Decimal("1.5")), meta={"when": "\ud800", "né": [1.5]}),),  # type: ignore[arg-type]
    (OTHER._replace(meta='{"other":true}'), moved(14, CASH, USER, 1)),
)
STORY = exported(BATCHES)
