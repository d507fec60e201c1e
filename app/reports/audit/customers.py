"""Money of customers, worked out again from the messages: what came in and went out, what was locked, and what was corrected."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from app.reports.audit.booked import CREDIT, DEBIT, Booked, Entry, booked, entries_of, judged
from app.reports.audit.checks import Check, Row, rows_of
from app.reports.audit.terms import Pair, pairs
from domain.messages.gov import Vote
from domain.messages.settlement import CustomerCorrection, CustomerFlow, OrderLock
from sinks.archive.parquet import Duck

FLOWS = ("CUSTOMER_DEPOSIT", "CUSTOMER_WITHDRAWAL", "CUSTOMER_DEBIT", "CUSTOMER_TRANSFER")
ORDERS = ("ORDER_LOCKED", "ORDER_UNLOCKED")
CORRECTED = "CUSTOMER_CORRECTED"

_ASKED = """
SELECT said FROM told WHERE topic = 'settlement.corrections' AND said IS NOT NULL ORDER BY at_ms DESC, source, "offset" DESC
"""
"""The first word under a name is the last one here, which stands."""


class Known(NamedTuple):
    """What postings are judged by beside their messages: symbols, and the corrections that people asked for."""

    pairs: Mapping[str, Pair]
    asked: Mapping[str, CustomerCorrection]


def _ask(opened: Duck) -> tuple[int, int, Sequence[Row]]:
    asked = [one for (said,) in rows_of(opened, _ASKED) if (one := _read(said)) is not None]
    known = Known(pairs(opened), {one.id: one for one in asked})
    return judged(booked(opened, [*FLOWS, *ORDERS, CORRECTED]), partial(_wrong, known))


def _read(said: str) -> CustomerCorrection | None:
    try:
        return CustomerCorrection.model_validate_json(said)
    except ValueError:
        return None


def _wrong(known: Known, one: Booked) -> str | None:
    """Return what is wrong with a posting of a customer's money."""
    if one.said is None:
        return "its message is not there"
    judge = _corrected if one.template == CORRECTED else _ordered if one.template in ORDERS else _flowed
    try:
        return judge(known, one, one.said)
    except ValueError as error:
        return f"its message cannot be read: {str(error).splitlines()[0]}"


def _flowed(_: Known, one: Booked, said: str) -> str | None:
    flow = CustomerFlow.model_validate_json(said)
    if (one.template, _name(one)) != (f"CUSTOMER_{flow.kind.upper()}", flow.id):
        return f"its message is the {flow.kind} {flow.id}"
    user, amount = f"CUSTOMER/{flow.customer}", flow.amount
    if flow.kind == "deposit":
        return one.unlike(given("CUSTODY", flow.customer, flow.asset, amount, _part(one)))
    if flow.kind == "debit":
        return one.unlike(taken("CUSTODY", flow.customer, flow.asset, amount, _part(one)))
    other = "CUSTODY" if flow.to is None else f"CUSTOMER/{flow.to}"
    return one.unlike(entries_of((user, flow.asset, DEBIT, amount), (other, flow.asset, CREDIT, amount)))


def _ordered(known: Known, one: Booked, said: str) -> str | None:
    word = OrderLock.model_validate_json(said)
    if (one.template, _name(one)) != (f"ORDER_{word.command.upper()}ED", word.order_id):
        return f"its message is the {word.command} of {word.order_id}"
    pair = known.pairs.get(word.symbol)
    if pair is None:
        return "its symbol was never told of"
    user, held = f"CUSTOMER/{word.customer}", f"CUSTOMER_LOCKED/{word.customer}"
    back = word.command == "unlock"
    assets = (pair.quote, pair.base) if back else (pair.quote if word.side == "buy" else pair.base,)
    amounts = [(asset, one.amount(held, asset, DEBIT if back else CREDIT)) for asset in assets]
    asset, amount = max(amounts, key=lambda pair: pair[1])
    if word.limit is not None and amount not in _locks(pair, word):
        return f"it locks {amount} {asset}, which no rate that was told comes to"
    side = CREDIT if back else DEBIT
    return one.unlike(entries_of((user, asset, side, amount), (held, asset, -side, amount)))


def _locks(pair: Pair, word: OrderLock) -> set[int]:
    """Return all that an order may have to lock."""
    if word.limit is None or word.quantity is None:
        return set()
    cost = pair.cost(word.limit, word.quantity)
    if cost.denominator != 1:
        return set()
    return pair.locks(int(cost)) if word.side == "buy" else {word.quantity}


def _corrected(known: Known, one: Booked, said: str) -> str | None:
    vote, word = Vote.model_validate_json(said), known.asked.get(_name(one))
    if word is None:
        return "nobody asked for it"
    if (vote.subject, vote.vote) != (word.id, "approve") or vote.by == word.by:
        return f"nobody else than {word.by} agreed to it"
    move = given if word.amount > 0 else taken
    return one.unlike(move("CUSTOMER_CORRECTIONS", word.customer, word.asset, abs(word.amount), _part(one)))


def given(by: str, user: str, asset: str, amount: int, repaid: int) -> Counter[Entry]:
    """Return what a customer got, of which a part pays a debt."""
    return entries_of(
        (by, asset, DEBIT, amount),
        (f"CUSTOMER/{user}", asset, CREDIT, amount - repaid),
        (f"CUSTOMER_DEBT/{user}", asset, CREDIT, repaid),
    )


def taken(by: str, user: str, asset: str, amount: int, owed: int) -> Counter[Entry]:
    """Return what was taken from a customer, of which a part is owed."""
    return entries_of(
        (by, asset, CREDIT, amount),
        (f"CUSTOMER/{user}", asset, DEBIT, amount - owed),
        (f"CUSTOMER_DEBT/{user}", asset, DEBIT, owed),
    )


def _name(one: Booked) -> str:
    return str(json.loads(one.meta)["name"])


def _part(one: Booked) -> int:
    return int(json.loads(one.meta)["part"])


CHECK = Check(
    "S4_every_posting_of_a_customer_books_what_was_told",
    "what was booked for a deposit, a withdrawal, a debit, a transfer, a lock, an unlock or a correction moves what its message "
    "says, and a correction is one that another person agreed to",
    "postings of customers' money",
    _ask,
)
