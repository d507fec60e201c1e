"""Trades spread over shards: what is owed, told and decided is what it is on one."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from app.replay.replay import NO_RECALL
from domain import topics
from domain.ledger.accounts import CHART, LIABILITY
from domain.ledger.journal import History
from domain.ledger.leaves import SPREAD, on_leaves, watched_in, with_leaves
from domain.ledger.memory import MemoryLedger
from domain.messages.hedging import HedgeOrder
from domain.messages.ledger import LedgerBalance
from operators.ledger import at_once
from operators.recall import Memory
from tests.flows.runs import EVERY_LEG, Joints, Run, liability_alone, run, said_on
from tests.flows.test_everything import TAPES
from tests.flows.test_liability import CROWD, EXPECTED
from tests.words import START_MS, settled

Ledgers = dict[int, MemoryLedger]
NUMBERED = frozenset(f"{number:02d}" for number in range(10))


def empty(shards: Sequence[int]) -> Ledgers:
    """A ledger per shard, with nothing booked."""
    chart = with_leaves(CHART, shards)
    return {shard: MemoryLedger([one for one in chart if one.shard == shard or one.code in SPREAD]) for shard in shards}


def history_of(ledgers: Ledgers) -> History:
    """What was posted to any of them."""
    all_of = [ledger.history() for ledger in ledgers.values()]
    return History(
        lambda matters: [one for history in all_of for one in history.of_matters(matters)],
        lambda leg_ids: [one for history in all_of for one in history.of_legs(leg_ids)],
    )


def spread_over(ledgers: Ledgers, memory: Memory = NO_RECALL) -> Callable[[Joints], Joints]:
    """Book on these instead of on one, and ask them for what the memory lacks."""
    shards = tuple(ledgers)

    def change(joints: Joints) -> Joints:
        (one,) = joints.liability.shards
        several = [
            replace(
                one,
                shard=shard,
                open_ledger=partial(at_once, ledger),
                watched=watched_in([LIABILITY], shards, shard),
                part=partial(on_leaves, shards=shards, shard=shard),
            )
            for shard, ledger in ledgers.items()
        ]
        own = replace(joints.liability, shards=several, open_history=lambda: history_of(ledgers), memory=memory)
        return joints._replace(liability=own)

    return change


def come_to(ledgers: Ledgers) -> dict[tuple[str, str], int]:
    """What all accounts come to, leaves summed."""
    found: Counter[tuple[str, str]] = Counter()
    for ledger in ledgers.values():
        for (code, currency), amount in settled(ledger).items():
            summary, _, leaf = code.partition("/")
            found[summary if leaf in NUMBERED else code, currency] += amount
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.parametrize("shards", [(0, 2), (0, 2, 3, 4)], ids=str)
@pytest.mark.parametrize(("batch_size", "workers"), [*product((1, 7, 100), (1,)), (7, 2)])
def test_the_books_come_to_the_same(shards: tuple[int, ...], batch_size: int, workers: int) -> None:
    """The same trades are told and rejected, and the leaves come to what one shard has, however the stream is cut."""
    ledgers = empty(shards)
    said = run(CROWD, liability_alone, batch_size=batch_size, workers=workers, change=spread_over(ledgers))
    assert settled(EXPECTED.ledger) == come_to(ledgers)
    assert all(ledger.transactions() for ledger in ledgers.values())
    for topic in (topics.USER_TRADES, topics.LEGS_REFUSED, topics.LEDGER_VERDICTS):
        assert sorted(said_on(said, topic)) == sorted(said_on(EXPECTED, topic))


@pytest.mark.parametrize("crash_at", [1, 4, 9])
def test_a_crash_in_the_middle(crash_at: int, tmp_path: Path) -> None:
    """After a crash every leg is in the books once, whichever shard's postings were booked before it."""
    ledgers, store = empty((0, 2, 3)), tmp_path / "recovery"
    run(CROWD, liability_alone, batch_size=1, crash_at=crash_at, recovery=store, change=spread_over(ledgers))
    run(CROWD, liability_alone, recovery=store, change=spread_over(ledgers, EVERY_LEG))
    assert settled(EXPECTED.ledger) == come_to(ledgers)


def test_the_newest_sum_is_what_is_owed() -> None:
    """Whoever reads the topic finds the account by its name, with what its leaves come to, and each leaf."""
    ledgers = empty((0, 2, 3))
    said = run(CROWD, liability_alone, batch_size=7, change=spread_over(ledgers))
    told = [LedgerBalance.model_validate_json(value) for value in said_on(said, topics.LEDGER_BALANCES)]
    newest = {(one.account, one.currency): one.settled for one in told}
    assert newest[LIABILITY] == settled(EXPECTED.ledger)[LIABILITY]
    assert newest[LIABILITY] == sum(newest[f"{LIABILITY[0]}/{shard:02d}", "USD"] for shard in ledgers)


def test_the_desk_decides_on_the_sum() -> None:
    """What users bought in several shards is hedged as one liability, while every shard says that it is still there."""
    one, several = run(TAPES, batch_size=1), run(TAPES, batch_size=1, change=spread_over(empty((0, 2, 3))))
    assert asked(one) == asked(several) == [("sell", -59, START_MS + 101)]


def asked(said: Run) -> list[tuple[str, int, int]]:
    """The orders that were asked for, and when; their ids name the facts that they were decided on."""
    orders = [HedgeOrder.model_validate_json(value) for value in said_on(said, topics.HEDGING_ORDERS)]
    return [(order.action, order.contracts, order.as_of) for order in orders]
