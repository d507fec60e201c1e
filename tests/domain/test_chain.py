"""The hash chain, from text alone: what is whole is found whole, and whatever is changed is found where it was changed."""

import csv
import re
from collections.abc import Sequence
from hashlib import sha256
from io import StringIO
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import refusals
from domain.body import payload
from domain.books import Books, Origin
from domain.causes import origin_of
from domain.chain import NO_HASH, Verified, verify
from domain.chain_batches import by_batch, readable
from domain.chain_evidence import REASONS
from domain.chain_rows import (
    BATCH_COLUMNS,
    ENTRY_COLUMNS,
    HEADER_COLUMNS,
    NULL,
    REJECT_COLUMNS,
    AccountRow,
    batch_row,
    entry_row,
    header_row,
    reject_row,
)
from domain.chain_text import cells_of
from domain.fold import Folded, Posted, Refused, advance, fold
from domain.journal import Group, Layer, Relation, Transaction
from tests.domain.ledger_workloads import ACCOUNTS, CASH, LIMITED, USER, ended, moved, posting, reversal

BY_NUMBER = {account.id: AccountRow(account.code, account.shard) for account in ACCOUNTS}
READERS: dict[str, Any] = {"batch": batch_row, "tx": header_row, "entry": entry_row, "reject": reject_row}
COLUMNS = {"batch": BATCH_COLUMNS, "tx": HEADER_COLUMNS, "entry": ENTRY_COLUMNS, "reject": REJECT_COLUMNS}

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
    tables.update(batch=[], tx=[], entry=[], reject=[])
    for number, transactions in enumerate(batches, 1):
        folded = fold(books, transactions)
        advance(books, folded)
        books.known = {**books.known, **folded.answered}
        origins.update({one.transaction.id: origin_of(one.transaction) for one in folded.posted} | folded.origins)
        previous = _export(tables, number, folded, transactions, previous)
    return tables


def _export(tables: Tables, number: int, folded: Folded, transactions: Sequence[Transaction], previous: str) -> str:
    headers = [_header(position, posted) for position, posted in enumerate(folded.posted, 1)]
    entries = [[str(fact if isinstance(fact, str) else int(fact)) for fact in line] for line in folded.entries]
    rejects = [_reject(position, refused) for position, refused in enumerate(folded.rejected, 1)]
    lines = [[*header[1:4], header[6], _named(header), *header[13:16]] for header in headers]
    lines += entries + [[reject[1], reject[2], reject[9]] for reject in rejects]
    text = "".join("\t".join(line) + "\n" for line in lines)
    digest = sha256(bytes.fromhex(previous) + text.encode()).hexdigest()
    offsets = [one.source_offset for one in transactions]
    spans = f'{{"test/0": [{min(offsets)}, {max(offsets)}]}}'
    counts = [len(headers), len(entries), 0, 0, len(rejects)]
    batch = [0, 1, *counts, spans, previous, digest, "2024-05-01T00:00:00.000000Z"]
    for table, rows in (("batch", [batch]), ("tx", headers), ("entry", entries), ("reject", rejects)):
        tables[table] += [[str(number), *map(str, row)] for row in rows]
    return digest


def _named(header: list[str]) -> str:
    return "-" if header[7] == NULL else header[8] if header[7] == "reverses" else f"{header[7]} {header[8]}"


def _header(position: int, posted: Posted) -> list[str]:
    one, cause = posted.transaction, posted.transaction.cause
    ties = [NULL] * 3 if cause is None else [str(cause.relation), cause.transaction_id, "t" if cause.is_final else "f"]
    expires = NULL if one.expires_at_ms is None else str(one.expires_at_ms)
    counts = [str(len(one.entries) + len(posted.added)), str(len(posted.added))]
    first = [str(position), one.id, one.template, str(one.effective_at_ms), *counts, one.correlation_id, *ties, expires]
    group = [NULL, NULL] if one.group is None else [one.group.id, str(one.group.size)]
    return [*first, *group, one.source, str(one.source_offset), posted.body_hash, posted.meta]


def _reject(position: int, refused: Refused) -> list[str]:
    verdict, one = refused.verdict, refused.transaction
    said = [NULL if fact is None else str(fact) for fact in (verdict.account, verdict.currency, verdict.shortfall)]
    where = [one.template, one.source, str(one.source_offset)]
    return [str(position), verdict.transaction_id, str(verdict.reason), *said, *where, refused.body_hash, payload(one)]


def checked(tables: Tables) -> list[Verified]:
    """What verifying an export says."""
    streams = [readable(READERS[name], tables[name]) for name in ("batch", "tx", "entry", "reject")]
    return list(verify(BY_NUMBER, by_batch(*streams)))


def broken(tables: Tables) -> dict[int, tuple[str, ...]]:
    """The batches that are broken, and what in them."""
    return {one.batch_id: tuple(map(str, one.parts)) for one in checked(tables) if one.faults}


def changed(tables: Tables, place: Place, value: str) -> Tables:
    """The same export with another value in one cell."""
    rows = [list(row) for row in tables[place.table]]
    rows[place.row][COLUMNS[place.table].index(place.column)] = value
    return {**tables, place.table: rows}


HOLD = moved(10, USER, CASH, 9, Layer.PENDING)._replace(expires_at_ms=1_800_000_000_000)
BATCHES = (
    (moved(1, CASH, USER, 50), moved(2, CASH, LIMITED, 20)),
    (moved(3, CASH, USER, 5), moved(4, LIMITED, CASH, 99), HOLD, moved(5, USER, CASH, 7)),
    (reversal(6, moved(3, CASH, USER, 5)), moved(7, LIMITED, CASH, 500)),
    (ended(11, HOLD, Relation.VOIDS), moved(8, CASH, USER, 4)),
    tuple(moved(number, CASH, USER, number)._replace(group=Group("both", 2)) for number in (9, 12)),
)
STORY = exported(BATCHES)

UNPROVED = {
    ("batch", "fence"),
    ("batch", "n_duplicates"),
    ("batch", "n_conflicts"),
    ("batch", "recorded_at"),
    ("reject", "account"),
    ("reject", "currency"),
    ("reject", "shortfall"),
}
"""What no hash covers and nothing else says again."""


def test_the_story_has_everything_in_it() -> None:
    """Rejections, a reversal, a hold with an expiry and its void with the entries of the ledger: and all of it is whole."""
    assert {} == broken(STORY)
    assert [(2, 4, 0), (3, 6, 1), (1, 2, 1), (2, 4, 0), (2, 4, 0)] == [one[2:5] for one in checked(STORY)]


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "expected"),
    [
        ("entry", 4, "amount", "6", {2: ("entry",)}),
        ("entry", 4, "balance_after", "76", {2: ("entry",)}),
        ("entry", 4, "side", "-1", {2: ("entry",)}),
        ("entry", 4, "account_id", "102", {2: ("entry",)}),
        ("entry", 4, "version", "9", {2: ("entry",)}),
        ("entry", 4, "amount", "5x", {2: ("entry",)}),
        ("tx", 2, "meta", '{"a":1}', {2: ("metadata",)}),
        ("tx", 3, "expires_at_ms", "1800000000001", {2: ("metadata",)}),
        ("tx", 8, "group_id", "none", {5: ("metadata",)}),
        ("tx", 2, "source", "tesu/0", {2: ("header",)}),
        ("tx", 2, "template", "TESU", {2: ("header",)}),
        ("tx", 2, "body_hash", "0" * 32, {2: ("header",)}),
        ("tx", 5, "cause_tx_id", moved(1, CASH, USER, 1).id, {3: ("header",)}),
        ("reject", 0, "reason", "over_limiu", {2: ("reject",)}),
        ("reject", 0, "payload", "{}", {2: ("reject",)}),
        ("reject", 0, "source", "tesu/0", {2: ("reject",)}),
        ("batch", 1, "hash", "0" * 64, {2: ("link",)}),
        ("batch", 1, "prev_hash", "0" * 64, {2: ("link",)}),
        ("batch", 0, "prev_hash", "1" * 64, {1: ("link",)}),
        ("batch", 1, "n_tx", "4", {2: ("batch",)}),
        ("batch", 1, "source", '{"test/0": [4, 5]}', {2: ("batch",)}),
        ("batch", 1, "source", "nothing", {2: ("batch",)}),
    ],
)
def test_what_was_changed_is_named(
    table: str, row: int, column: str, value: str, expected: dict[int, tuple[str, ...]]
) -> None:
    """One changed cell breaks its own batch and no other, and the part that it is in is said."""
    assert expected == broken(changed(STORY, Place(table, row, column), value))


@st.composite
def _flipped(draw: st.DrawFn) -> tuple[Place, str, str]:
    table = draw(st.sampled_from(sorted(COLUMNS)))
    row = draw(st.integers(0, len(STORY[table]) - 1))
    column = draw(st.sampled_from([name for name in COLUMNS[table][1:] if (table, name) not in UNPROVED]))
    cell = STORY[table][row][COLUMNS[table].index(column)]
    at = draw(st.integers(0, len(cell) - 1))
    other = draw(st.characters(codec="ascii", exclude_characters=cell[at], exclude_categories=["Cc"]))
    return Place(table, row, column), cell, cell[:at] + other + cell[at + 1 :]


@given(_flipped())
def test_any_byte_that_is_flipped_breaks_its_own_batch(flipped: tuple[Place, str, str]) -> None:
    """Wherever it is, in whatever part: its batch is named, and no other."""
    place, _, value = flipped
    batch_id = int(STORY[place.table][place.row][0])
    assert [batch_id] == list(broken(changed(STORY, place, value)))


def test_rows_that_are_gone_or_new_are_missed() -> None:
    """A row less or twice shows in its batch alone."""
    for table in ("tx", "entry", "reject"):
        for row, cells in enumerate(STORY[table]):
            less = {**STORY, table: [*STORY[table][:row], *STORY[table][row + 1 :]]}
            twice = {**STORY, table: [*STORY[table][:row], cells, *STORY[table][row:]]}
            assert [int(cells[0])] == list(broken(less))
            assert [int(cells[0])] == list(broken(twice))


def test_a_batch_that_is_gone_is_missed() -> None:
    """With its rows left behind it is named itself; without them, the one that no longer follows is."""
    without = {**STORY, "batch": [row for row in STORY["batch"] if row[0] != "3"]}
    assert {3: ("batch",)} == broken(without)
    gone = {name: [row for row in rows if row[0] != "3"] for name, rows in STORY.items()}
    assert [4] == list(broken(gone))
    assert "link" in broken(gone)[4]


def test_two_that_are_broken_are_both_named() -> None:
    """What is wrong in one batch does not hide what is wrong in another."""
    one = changed(STORY, Place("entry", 0, "amount"), "51")
    both = changed(changed(one, Place("entry", 4, "amount"), "6"), Place("tx", 8, "meta"), '{"a":2}')
    assert {1: ("entry",), 2: ("entry",), 5: ("metadata",)} == broken(both)


def test_metadata_may_stand_as_the_database_writes_it() -> None:
    """Rows from before metadata was kept as text have other blanks and another order, and the same body."""
    meta = '{"b": [1, {"d": null, "c": "x"}], "a": 1}'
    told = posting(1, *moved(1, CASH, USER, 5).entries, meta={"a": 1, "b": [1, {"c": "x", "d": None}]})
    assert {} == broken(changed(exported([[told]]), Place("tx", 0, "meta"), meta))


def test_a_rewritten_batch_is_found_by_the_next() -> None:
    """Whoever changes a batch and computes its hash anew has to change all that come after, or is found out."""
    other = exported([BATCHES[0], (moved(3, CASH, USER, 6), *BATCHES[1][1:]), *BATCHES[2:]])
    mixed = {
        name: [*[row for row in other[name] if row[0] <= "2"], *[row for row in STORY[name] if row[0] > "2"]]
        for name in STORY
    }
    assert "link" in broken(mixed)[3]


def test_an_empty_ledger_is_whole() -> None:
    """Nothing is there, and nothing is wrong with it."""
    assert [] == checked({"batch": [], "tx": [], "entry": [], "reject": []})


def test_every_reason_is_known() -> None:
    """A reason that the ledger may give, and that this does not know, would be taken for a change."""
    named = re.findall(r"^(\w+(?:, \w+)*)(?:\s{2,}|$)", str(refusals.__doc__), re.MULTILINE)
    assert set(", ".join(named).split(", ")) - {""} <= REASONS | {"Why"}


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)


@given(st.lists(st.lists(_CELLS, min_size=3, max_size=3), max_size=6))
def test_csv_comes_back_as_it_was(rows: list[list[str]]) -> None:
    """Cells with commas, quotation marks and line breaks are read as they were written."""
    out = StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    assert rows == list(cells_of(re.findall(r"[^\n]*\n", out.getvalue()), 3))


def test_a_damaged_line_damages_no_other() -> None:
    """A quotation mark that is lost or new does not swallow the lines after it."""
    lines = ['1,"a",x\n', '2,"b,x\n', '3,"c",x\n', "4,d\n", '5,"e""",x\n']
    assert [["1", "a", "x"], ["2", '"b', "x"], ["3", "c", "x"], ["4", "d"], ["5", 'e"', "x"]] == list(cells_of(lines, 3))
