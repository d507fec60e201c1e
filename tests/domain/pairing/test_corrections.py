"""Corrections: what a new pairing does to trades that were recorded earlier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pairing.corrections import NewTrade, RecordedTrade, correct


def trade(name: str) -> NewTrade:
    """A pairing from its name, `b1u2`."""
    return NewTrade(name[:2], name[2:])


RECORDED = [RecordedTrade(5, "b1", "u1"), RecordedTrade(6, "b2", "u2")]
NAMES = st.lists(st.builds("b{}u{}".format, st.integers(1, 4), st.integers(1, 4)), max_size=6)


@pytest.mark.parametrize(
    ("new", "inserted", "bad_rows"),
    [
        ("b9u9", "b9u9", []),
        ("b1u1", "", []),
        ("b1u9", "b1u9", [5]),
        ("b9u1", "b9u1", [5]),
        ("b1u2", "b1u2", [6, 5]),
        ("b1u2 b2u1", "b1u2 b2u1", [6, 5, 5, 6]),
        ("b1u1 b1u1", "b1u1", []),
    ],
)
def test_correction_table(new: str, inserted: str, bad_rows: list[int]) -> None:
    """A repeated trade is dropped; one that takes known legs is inserted, and their rows are bad."""
    found = correct([*map(trade, new.split())], RECORDED)
    assert ([*map(trade, inserted.split())], bad_rows) == (found.insert, found.bad_rows)


@given(NAMES)
def test_every_new_trade_is_inserted_or_known(names: list[str]) -> None:
    """What is not inserted is recorded already, and no row is bad that shares no leg with an inserted trade."""
    new = [*map(trade, names)]
    found = correct(new, RECORDED)
    known = {(row.btc_id, row.usd_id) for row in RECORDED}
    assert all(one in known for one in new if one not in found.insert)
    legs = {leg for one in found.insert for leg in one}
    assert all({row.btc_id, row.usd_id} & legs for row in RECORDED if row.row in found.bad_rows)
