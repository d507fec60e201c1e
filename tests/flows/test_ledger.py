"""The ledger as a neighbour: single postings on a shard of their own, money that crosses, and shards that do not wait."""

import json
from dataclasses import replace
from typing import Any

import pytest
from bytewax.testing import TestingSource

from domain import topics
from domain.ids import timeless_id
from domain.messages.ledger import Posting
from domain.streams.records import RawBatch
from domain.topics import Topic
from flows import ledger
from tests.flows.runs import Joints, Run, liability_alone, recorded, run, said_on, singles_alone, whole
from tests.flows.test_everything import TAPES
from tests.words import START_MS

SECOND_MS = 1_000


def posting(key: str, amount: int = 500, after_ms: int = 0, **more: Any) -> tuple[int, Posting]:
    """Somebody asks for a posting from Anna to Boris."""
    fields = {"key": key, "debit": "ANNA", "credit": "BORIS", "currency": "USD", "amount": amount}
    return after_ms, Posting.model_validate(fields | {"effective_at": START_MS + after_ms} | more)


def told(said: Run, topic: Topic[Any]) -> list[dict[str, Any]]:
    """The messages that a run put on a topic."""
    return [json.loads(value) for value in said_on(said, topic)]


def balances(said: Run) -> dict[str, tuple[int, int]]:
    """Settled and pending by account of the single postings, debits positive."""
    return {b.account: (b.settled, b.pending_debit - b.pending_credit) for b in said.singles.balances()}


def test_a_single_posting_is_booked_and_answered() -> None:
    """Who asked for it reads the verdict on a topic, and a repeat gets the answer of the first."""
    said = run(recorded({"ledger.postings": [posting("1"), posting("1"), posting("2", credit="NOBODY")]}), singles_alone)
    verdicts = told(said, topics.LEDGER_VERDICTS)
    assert ["posted", "duplicate", "rejected"] == [one["outcome"] for one in verdicts]
    assert ("TRANSFER", "unknown_account", "NOBODY") == tuple(
        verdicts[2][name] for name in ("template", "reason", "account")
    )
    assert {"ANNA": (500, 0), "BORIS": (-500, 0)} == balances(said)


@pytest.mark.parametrize(
    ("ends", "settled", "templates"),
    [
        ({}, 0, ["HOLD", "EXPIRE"]),
        ({"voids": True}, 0, ["HOLD", "VOID"]),
        ({"captures": True, "amount": 200}, 200, ["HOLD", "CAPTURE"]),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_hold_ends_in_the_flow(ends: dict[str, Any], settled: int, templates: list[str], batch_size: int) -> None:
    """What is held is captured or voided by name, or expires at its end by itself; each is answered on the topic."""
    hold_id = timeless_id("HOLD", "h")
    words = [posting("h", expires_at=START_MS + 5 * SECOND_MS)]
    if ends:
        by_name = {name: hold_id if value is True else value for name, value in ends.items()}
        words.append(posting("end", after_ms=SECOND_MS, **by_name))
    words.append(posting("later", 1, after_ms=9 * SECOND_MS))
    said = run(recorded({"ledger.postings": words}), singles_alone, batch_size=batch_size)
    assert [*templates, "TRANSFER"] == [one["template"] for one in told(said, topics.LEDGER_VERDICTS)]
    assert {"posted"} == {one["outcome"] for one in told(said, topics.LEDGER_VERDICTS)}
    assert {"ANNA": (settled + 1, 0), "BORIS": (-settled - 1, 0)} == balances(said)


def test_money_that_crosses_is_booked_in_both_shards() -> None:
    """The home shard books its part and tells what is left; the other shard books that, and clearing ties."""
    first = run(recorded({"ledger.postings": [posting("1", credit="STABLESATS_LIABILITY")]}), singles_alone)
    (crossing,) = said_on(first, topics.LEDGER_CROSSINGS)
    second = run(recorded({"ledger.crossings": [(0, crossing), (1, crossing)]}), liability_alone)
    assert {"ANNA": (500, 0), "CLEARING/1/0": (-500, 0)} == balances(first)
    assert {"CLEARING/0/1": 500, "STABLESATS_LIABILITY": -500} == {b.account: b.settled for b in second.ledger.balances()}
    assert 1 == len(second.ledger.transactions())


def test_what_the_home_shard_refuses_goes_nowhere() -> None:
    """A part that is not posted leaves nothing for others to book."""
    said = run(recorded({"ledger.postings": [posting("1", debit="NOBODY", credit="STABLESATS_LIABILITY")]}), singles_alone)
    assert [] == said_on(said, topics.LEDGER_CROSSINGS)
    assert ["rejected"] == [one["outcome"] for one in told(said, topics.LEDGER_VERDICTS)]


def test_a_group_that_is_behind_holds_back_nobody_else() -> None:
    """With single postings stuck at the beginning of time, everything else is booked and decided as without them."""
    stuck = [RawBatch(topic.name, 0, START_MS, []) for topic in ledger.INPUTS]

    def behind(joints: Joints) -> Joints:
        source = joints.edges.source
        edges = replace(
            joints.edges, source=lambda read, n: TestingSource(stuck) if read == ledger.INPUTS else source(read, n)
        )
        return joints._replace(edges=edges)

    expected, said = run(TAPES, whole, batch_size=1), run(TAPES, whole, batch_size=1, change=behind)
    assert expected.books == said.books
    for topic in (topics.USER_TRADES, topics.HEDGING_ORDERS):
        assert said_on(expected, topic) == said_on(said, topic)
    assert said_on(said, topics.HEDGING_ORDERS)
