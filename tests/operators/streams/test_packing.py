"""Records on their way come out of a snapshot as they went in."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.journal import CREDIT, DEBIT, Cause, Entry, Group, Layer, Relation, Transaction
from domain.pairing.effects import Arrival, KnownTrade
from domain.pairing.legs import Leg
from domain.streams.records import Record
from operators.streams.packing import Packing

NUMBERS = st.integers(-(10**40), 10**40) | st.integers(-(2**63), 2**64 - 1)
SMALL = st.integers(-(2**63), 2**64 - 1)
TEXTS = st.text(max_size=4)
ENTRIES = st.builds(Entry, TEXTS, TEXTS, st.sampled_from(Layer), st.sampled_from((DEBIT, CREDIT)), NUMBERS)
CAUSES = st.none() | st.builds(Cause, st.sampled_from(Relation), TEXTS, st.booleans())
TRANSACTIONS = st.builds(
    Transaction,
    TEXTS,
    TEXTS,
    SMALL,
    st.lists(ENTRIES, max_size=3).map(tuple),
    TEXTS,
    TEXTS,
    SMALL,
    TEXTS,
    CAUSES,
    st.none() | SMALL,
    st.none() | st.builds(Group, TEXTS, SMALL),
)
LEGS = st.builds(Leg, TEXTS, SMALL, TEXTS, TEXTS, TEXTS, NUMBERS, TEXTS, st.none() | TEXTS, NUMBERS)
KNOWN = st.builds(KnownTrade, TEXTS, LEGS, LEGS, SMALL)
ARRIVALS = st.builds(Arrival, LEGS, st.lists(KNOWN, max_size=2).map(tuple), TEXTS)


def records(values: st.SearchStrategy) -> st.SearchStrategy:
    """Some records with such values."""
    return st.lists(st.builds(Record, SMALL, TEXTS, SMALL, values), max_size=3)


def saved(kind: type, waiting: list[Record]) -> object:
    """What becomes of records that a snapshot is taken of, by the way of the engine."""
    packed = pickle.loads(pickle.dumps(Packing(kind).pack(waiting)))  # noqa: S301 - as the engine does
    return Packing(kind).unpack(packed)


@given(records(TRANSACTIONS))
def test_postings_come_out_as_they_went_in(waiting: list[Record]) -> None:
    """Whatever is in a posting is the same and of the same types, numbers of any size included."""
    assert repr(waiting) == repr(saved(Transaction, waiting))


@given(records(ARRIVALS))
def test_arrivals_come_out_as_they_went_in(waiting: list[Record]) -> None:
    """A leg with all that is known of it is the same and of the same types."""
    assert repr(waiting) == repr(saved(Arrival, waiting))


@given(records(st.builds(Entry, TEXTS, TEXTS, st.sampled_from(Layer), st.just(DEBIT), SMALL)))
def test_what_fits_is_bytes(waiting: list[Record]) -> None:
    """Only a number of more than 64 bits is left to the engine."""
    assert isinstance(Packing(Entry).pack(waiting), bytes)
