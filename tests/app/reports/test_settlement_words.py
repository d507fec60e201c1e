"""Every reason for which a word may be refused has its remedy in words."""

import ast
from collections.abc import Iterator
from typing import get_args

import pytest

from app.reports.settlement.words import REMEDIES, remedy_of
from domain.messages.settlement import Instrument
from domain.settlement.answers import TAKEN
from tests.app.surroundings import ROOT

ROOM = ROOT / "domain" / "settlement"
STATUSES = set(get_args(Instrument.model_fields["status"].annotation)) - {"open"}


def _texts(node: ast.AST) -> Iterator[str]:
    """Every text below a node; one that is made with the status of a symbol, once for each that bars from trading."""
    for one in ast.walk(node):
        if isinstance(one, ast.JoinedStr):
            yield from (f"symbol_{status}" for status in STATUSES)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _reasons(tree: ast.AST) -> Iterator[str]:
    """What refusals are made of, and what functions return that say why not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal" and node.args:
            yield from _texts(node.args[0])
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) == "str | None":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from _texts(inner.value)


FOUND = {reason for path in ROOM.glob("*.py") for reason in _reasons(ast.parse(path.read_text()))} - {"symbol_"} | {
    *TAKEN.values()
}
OF_BOOKS = {"refused_by_books", "booked_otherwise"}
"""What is told of a posting that the books refuse, by `operators/announce.py`."""


def test_the_walk_finds_reasons() -> None:
    """Those of trades, of orders, of money, and those that follow from a status or from what is booked."""
    assert {"wrong_hash", "symbol_halted", "unknown_order", "lock_too_small", "debt_open", "denied"} <= FOUND
    assert {"known_order", "booked_before", "insufficient", "too_large", "never_in_turn"} <= FOUND


@pytest.mark.parametrize("reason", sorted(FOUND | OF_BOOKS))
def test_every_reason_has_a_remedy(reason: str) -> None:
    """A person who sees the reason is told what to do."""
    assert reason in REMEDIES
    assert remedy_of(reason).strip()


def test_trades_alone_are_replayed() -> None:
    """A word of another kind is told again, and an order that nobody knows is not unlocked."""
    assert "ballast settlement replay" in remedy_of("unknown_symbol")
    assert "tell it again, with the time of then" in remedy_of("unknown_symbol", "lock")
    assert [] == [reason for reason in REMEDIES if "replay TRADE_ID" in remedy_of(reason, "lock")]
    assert "nothing is left to unlock" in remedy_of("unknown_order", "unlock")


def test_no_remedy_is_for_a_reason_that_is_never_given() -> None:
    """The table has nothing that the code does not say."""
    assert set() == REMEDIES.keys() - FOUND - OF_BOOKS
