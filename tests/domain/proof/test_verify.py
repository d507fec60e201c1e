"""The hash chain, from text alone: what is whole is found whole, and whatever is changed is found where it was changed."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.ledger import refusals
from domain.proof.rows import BATCH_COLUMNS, NULL
from tests.domain.ledger.ledger_workloads import CASH, USER, moved
from tests.domain.proof.ledger_exports import (
    BATCHES,
    COLUMNS,
    READERS,
    STORY,
    Place,
    Tables,
    broken,
    changed,
    checked,
    differing,
    exported,
)


def test_the_story_has_everything_in_it() -> None:
    """Rejections, a reversal, a hold with an expiry and its void with the entries of the ledger: and all of it is whole."""
    assert {} == broken(STORY)
    counts = [(2, 4, 0, 0), (3, 6, 1, 0), (1, 2, 1, 0), (2, 4, 0, 1), (2, 4, 0, 0), (0, 0, 1, 0), (1, 2, 0, 1)]
    assert counts == [one.counts for one in checked(STORY)]
    assert ["1", "0"] == [row[BATCH_COLUMNS.index("n_duplicates")] for row in STORY["batch"][3:5]]


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
        ("batch", 1, "source", "[]", {2: ("batch",)}),
        ("batch", 1, "fence", "2", {2: ("batch",)}),
        ("batch", 3, "n_duplicates", "2", {4: ("batch",)}),
        ("batch", 3, "n_conflicts", "2", {4: ("batch",)}),
        ("batch", 3, "recorded_at_us", "1", {4: ("batch",)}),
        ("batch", 3, "content_hash", "0" * 64, {4: ("batch",)}),
        ("batch", 3, "content_hash", NULL, {4: ("batch",)}),
        ("batch", 3, "shard", "7", {4: ("batch",)}),
        ("batch", 5, "shard", "7", {6: ("batch",)}),
        ("batch", 6, "fence", "2", {7: ("batch", "link")}),
        ("reject", 0, "account", "LIMITEE", {2: ("header", "reject")}),
        ("reject", 2, "currency", "USE", {6: ("reject",)}),
        ("reject", 2, "payload", "{}", {6: ("reject",)}),
        ("reject", 2, "body_hash", "0" * 32, {6: ("reject",)}),
        ("conflict", 0, "body_hash", "0" * 32, {4: ("conflict",)}),
        ("conflict", 0, "source", "tesu/0", {4: ("conflict",)}),
        ("conflict", 1, "payload", "[]", {7: ("conflict",)}),
        ("tx", 6, "n_entries", "3", {4: ("header",)}),
        ("tx", 5, "n_added", "1", {3: ("metadata",)}),
        ("tx", 5, "position", "2", {3: ("header",)}),
    ],
)
def test_what_was_changed_is_named(
    table: str, row: int, column: str, value: str, expected: dict[int, tuple[str, ...]]
) -> None:
    """One changed cell breaks its own batch and no other, and the part that it is in is said."""
    assert expected == broken(changed(STORY, Place(table, row, column), value))


@st.composite
def _flipped(draw: st.DrawFn) -> tuple[Place, str]:
    table = draw(st.sampled_from(sorted(COLUMNS)))
    row = draw(st.integers(0, len(STORY[table]) - 1))
    column = draw(st.sampled_from(COLUMNS[table][1:]))
    cell = STORY[table][row][COLUMNS[table].index(column)]
    at = draw(st.integers(0, len(cell) - 1))
    other = draw(st.characters(codec="ascii", exclude_characters=cell[at], exclude_categories=["Cc"]))
    return Place(table, row, column), cell[:at] + other + cell[at + 1 :]


QUOTE = STORY["reject"][2][-1].index("Decimal('1.5')") + len("Decimal('1.5")


@settings(max_examples=300)
@given(_flipped())
@example((Place("reject", 2, "payload"), STORY["reject"][2][-1][:QUOTE] + "x" + STORY["reject"][2][-1][QUOTE + 1 :]))
def test_any_byte_that_is_flipped_breaks_its_own_batch(flipped: tuple[Place, str]) -> None:
    """Wherever it is, in whatever part: its batch is named, and no other."""
    place, value = flipped
    batch_id = int(STORY[place.table][place.row][0])
    assert [batch_id] == list(broken(changed(STORY, place, value)))


def test_rows_that_are_gone_or_new_are_missed() -> None:
    """A row less or twice shows in its batch alone."""
    for table in ("tx", "entry", "reject", "conflict"):
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
    nothing = Tables({name: [] for name in (*READERS, "balance")})
    assert ([], []) == (checked(nothing), differing(nothing))


def test_every_reason_is_known() -> None:
    """A reason that the ledger may give, and that this does not know, would be taken for a change."""
    named = re.findall(r"^(\w+(?:, \w+)*)(?:\s{2,}|$)", str(refusals.__doc__), re.MULTILINE)
    assert set(", ".join(named).split(", ")) - {""} <= refusals.REASONS | {"Why"}
