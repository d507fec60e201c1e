"""The body of a transaction: metadata as canonical text, and what is kept of a transaction that was refused."""

import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from domain.ledger.body import can_be_stored, meta_text, payload, quoted, transaction_from
from domain.ledger.journal import Transaction
from tests.domain.ledger.ledger_workloads import CASH, USER, WORKLOADS, credit, debit, posting

TEXTS = st.text() | st.text('\\u0d8000\x00\x1f\ud800"né')
_value = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
_inner = st.lists(_value, max_size=3) | st.dictionaries(TEXTS, _value, max_size=3)
META = st.dictionaries(TEXTS, _value | _inner, max_size=4)


def has_no_place(text: str) -> bool:
    """Whether a text has a character that no database can hold."""
    return any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in text)


@given(META)
def test_metadata_says_the_same_in_any_order(meta: dict[str, object]) -> None:
    """What is read from canonical metadata is what was written, and the order in which keys came leaves no trace."""
    text = meta_text(meta)
    assert meta == json.loads(text)
    assert text == meta_text(dict(reversed(meta.items())))
    assert list(json.loads(text)) == sorted(meta)


@given(META)
def test_metadata_is_the_text_that_json_has_for_it(meta: dict[str, object]) -> None:
    """Canonical metadata is JSON with sorted keys and without spaces; in ASCII where no database can hold it."""
    plain = json.dumps(meta, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    ascii_text = json.dumps(meta, sort_keys=True, separators=(",", ":"))
    # Numbers like 1e16 are spelled in two ways.
    assert meta_text(meta) in (plain, ascii_text) or "e" in plain
    if not can_be_stored(meta_text(meta)):
        assert ascii_text == meta_text(meta)


@given(TEXTS)
@example("\\u0000")
@example("\\\x00")
@example("\\ud800")
@example("\udfff")
def test_what_no_database_can_hold_is_found_in_the_text(text: str) -> None:
    """A NUL and half of a surrogate pair are found wherever they stand, and what only looks like one is not."""
    for meta in ({"memo": text}, {text: 1}, {"a": [{"b": text}]}):
        assert has_no_place(text) != can_be_stored(meta_text(meta))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"a", {1: 2}, {"a": [object()]}])
def test_a_template_may_say_plain_json_alone(value: object) -> None:
    """Metadata that is no plain JSON is a mistake in the code, which raises before there is a posting."""
    with pytest.raises(TypeError):
        meta_text({"a": value})


@given(st.text())
def test_a_text_is_quoted_as_in_metadata(text: str) -> None:
    """What is written text by text has the bytes of what is written as a whole."""
    assert to_json(text).decode() == quoted(text)


@settings(max_examples=20)
@given(WORKLOADS)
def test_a_transaction_can_be_kept_and_sent(transactions: list[Transaction]) -> None:
    """What is kept of a refused one is plain ASCII and tells all of it; msgpack gives it back by its types alone if its amounts
    have 64 bits."""
    for one in transactions:
        assert payload(one).isascii()
        assert one == transaction_from(json.loads(payload(one)))
    small = [one for one in transactions if all(abs(entry.amount) < 2**63 for entry in one.entries)]
    assert small == msgspec.msgpack.decode(msgspec.msgpack.encode(small), type=list[Transaction])


@given(META)
def test_metadata_is_kept_as_it_was(meta: dict[str, object]) -> None:
    """Whatever it says, what is kept of a refused transaction has the same metadata, and so the same body."""
    one = posting(1, debit(CASH, 5), credit(USER, 5), meta=meta)
    assert one == transaction_from(json.loads(payload(one)))
