"""Buffers to audit, the same every time: two windows in which they drain, a provider that fails and one that converts, a flow
that is taken back, and what a person had converted when another one agreed."""

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any

from domain.ledger.accounts import CHART, TREASURY_SHARD
from domain.messages.gov import Vote
from domain.messages.ops import Control
from domain.messages.treasury import ConversionRequest
from domain.streams.records import RawMessage
from domain.treasury.policy import Rules, TreasuryPolicy
from sinks.ledger.writer import PostgresLedger
from sinks.treasury import PostgresTreasury
from tests.domain.treasury.desk_runs import Played
from tests.domain.treasury.test_desk import CLOSES_MS, WINDOW_MS, begun, failing
from tests.flows.treasury_runs import Told, recorded, run
from tests.treasury_words import BROKER, FIAT, USDC, flow, terms
from tests.words import START_MS

POLICY = TreasuryPolicy(window_seconds=300, lateness_seconds=30, shadow=Rules(trigger="target", rounding="batch"))
END_MS = CLOSES_MS + 2 * WINDOW_MS
BY_HAND_MS = CLOSES_MS + WINDOW_MS // 2
BATCH = 10


@cache
def played() -> Played:
    """The desk by hand, which says when each word was heard."""
    facts: list[tuple[int, Any]] = begun({USDC: 12_000, FIAT: 230_000, BROKER: 60_000}, terms("due"), terms("zerohash", 2))
    facts += [(1_000 * n, flow(f"w{n}", USDC, -300, 1_000 * n)) for n in range(1, 30)]
    facts += [(40_000, flow("no w7", USDC, 300, 7_000, cause="withdrawal", reverts="w7"))]
    facts += [(WINDOW_MS + 7 * n, flow(f"b{n}", BROKER, -2_000, WINDOW_MS)) for n in range(1, 9)]
    facts += [(BY_HAND_MS, _convert()), (BY_HAND_MS + 1_000, _agreed()), (END_MS, flow("last", FIAT, 1, END_MS))]
    return Played(POLICY).tell(facts, END_MS, failing("due"))


def _convert() -> Control:
    more = {"source": USDC, "destination": FIAT, "amount": 500_000_000}
    return Control(id="c1", command="convert", by="anna", reason="payroll", as_of=START_MS + BY_HAND_MS, **more)  # type: ignore[arg-type]


def _agreed() -> Vote:
    as_of = START_MS + BY_HAND_MS + 1_000
    return Vote(subject="manual:c1", vote="approve", by="boris", reason="agreed", as_of=as_of)


@cache
def told() -> Told:
    """What the flow makes of it, from its topics."""
    return run(recorded(played().heard), POLICY)


def fill_buffers(dsn: str) -> None:
    """Book what flowed and was converted, and keep what the desk said."""
    booked = told().ledger.transactions()
    with closing(PostgresLedger(dsn, TREASURY_SHARD, accounts=CHART)) as ledger:
        for start in range(0, len(booked), BATCH):
            ledger.post(booked[start : start + BATCH])
    with closing(PostgresTreasury(dsn, [POLICY.rules, Rules(trigger="target", rounding="batch")])) as records:
        records.record(told().kept)


def requests() -> Iterator[tuple[ConversionRequest, list[tuple[str, int, int]]]]:
    """What was asked of providers, with the states that each request went through."""
    for request in played().of(ConversionRequest):
        yield request, [("sent", 0, 0), ("failed" if request.provider == "due" else "completed", 0, 1)]


def messages() -> Iterator[tuple[str, RawMessage]]:
    """What is on the topics: what the flow was told, and what it said."""
    tapes = recorded(played().heard)
    for (topic, _), lines in tapes.items():
        yield from ((topic, message) for message in lines)
    begun_with = {topic for topic, _ in tapes}
    for message in told().outgoing:
        if message.topic not in begun_with:
            yield message.topic, RawMessage(-1, message.at_ms, message.key, message.value)
