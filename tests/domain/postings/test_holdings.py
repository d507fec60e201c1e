"""What customers have, worked out from the other sides of all that was booked for them."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest

from domain.ledger.journal import Transaction
from domain.messages.settlement import Instrument
from domain.postings.holdings import Done, Line, Pair, booked_on, changes
from domain.templates.reversal import reversal
from tests.domain.settlement.played import BTC_USDT, CUSTOMERS, ETH_USDT, Played, crowd


def pair_of(told: Instrument) -> Pair:
    """What a symbol trades."""
    return Pair(told.base, told.base_decimals, told.quote, told.quote_decimals)


PAIRS = {told.symbol: pair_of(told) for told in (BTC_USDT, ETH_USDT)}


def done(posting: Transaction, sides: Iterable[Line] | None = None, sign: int = 1) -> Done:
    """A posting as it is read from the books."""
    lines = sides or (Line(one.account, one.currency, int(one.side), one.amount) for one in posting.entries)
    return Done(posting.template, json.loads(posting.meta), tuple(lines), sign)


def summed(customer: str, found: Iterable[Done]) -> Counter[tuple[str, str]]:
    """What a customer has by the other sides of all postings."""
    total: Counter[tuple[str, str]] = Counter()
    for one in found:
        for kind, asset, amount in changes(customer, one, PAIRS):
            total[kind, asset] += amount
    return total


@pytest.mark.parametrize("seed", range(6))
def test_history_comes_to_what_customers_have(seed: int) -> None:
    """For every customer, asset and account, whatever was told, both by the other sides and by the own entries."""
    played = Played()
    played.tell(*crowd(seed, 300))
    history = [done(one) for one in played.ledger.transactions()]
    for customer in CUSTOMERS:
        told = summed(customer, history)
        entries = Counter[tuple[str, str]]()
        for one in history:
            for kind, asset, amount in booked_on(customer, one):
                entries[kind, asset] += amount
        assert +told == +entries
        for asset in ("BTC", "ETH", "USDT"):
            has = played.has(customer, asset)
            assert has == tuple(told[kind, asset] for kind in ("available", "locked", "debt"))


def test_a_reversal_undoes_what_its_original_did() -> None:
    """Of every kind of posting and of both customers of a trade."""
    played = Played()
    played.tell(*crowd(3, 300))
    for original in played.ledger.transactions():
        turned = reversal(original, original.effective_at_ms)
        assert turned is not None
        lines = [Line(one.account, one.currency, int(one.side), one.amount) for one in turned.entries]
        for customer in CUSTOMERS:
            both = summed(customer, [done(original), done(original, lines, -1)])
            assert set(both.values()) <= {0}


def test_an_own_entry_that_was_turned_does_not_hide_itself() -> None:
    """For each posting, one more on an account of a customer: what its own entries say and what the other sides say differ."""
    played = Played()
    played.tell(*crowd(11, 300))
    for original in played.ledger.transactions():
        honest = done(original)
        for place, line in enumerate(honest.lines):
            if not line.account.startswith("CUSTOMER"):
                continue
            lines = [*honest.lines]
            lines[place] = line._replace(amount=line.amount + 1)
            turned = honest._replace(lines=tuple(lines))
            assert any(
                sorted(_some(changes(customer, turned, PAIRS))) != sorted(_some(booked_on(customer, turned)))
                for customer in CUSTOMERS
            )


def _some(found: Iterable[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    total: Counter[tuple[str, str]] = Counter()
    for kind, asset, amount in found:
        total[kind, asset] += amount
    return [(*of, amount) for of, amount in total.items() if amount]
