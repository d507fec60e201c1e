"""Announcing: every value is said on its own topic only, and a message that is said can be read."""

import json
from typing import Any

import pytest

from domain import topics
from domain.ids import content_id
from domain.journal import Outcome, Transaction, Verdict
from domain.legs import leg_from, pairing_key
from domain.messages import Alert, CollateralTransfer, Decision, HedgeOrder
from domain.pairing_effects import LegRefused, LegTooOld, LegWaits, TradePaired, TradeUnpaired
from operators import announce
from operators.booking import Judged
from operators.decode import parser
from operators.posting import post_effect, post_fill
from operators.publish import encode
from tests.flows.streams import (
    START_MS,
    VENUE,
    fill,
    leg,
    liability,
    order_report,
    pair,
    record,
    tick,
    transfer_report,
)

LEG = leg_from(leg("b1"))
DECISION = Decision(
    id="d1",
    kind="hedge",
    venue=VENUE,
    policy="guarded",
    policy_version=1,
    action="sell",
    rule="below_low_bound",
    reason="",
    amount=-3,
    unit="contracts",
    inputs={},
    refused=[],
    as_of=START_MS,
)
ORDER = HedgeOrder(
    decision_id="d1",
    client_order_id="o1",
    venue=VENUE,
    action="sell",
    contracts=-3,
    based_on_sequence=1,
    as_of=START_MS,
)
TRANSFER = CollateralTransfer(
    decision_id="d2",
    client_transfer_id="t1",
    venue=VENUE,
    kind="deposit",
    amount_sats=5,
    based_on_sequence=1,
    as_of=START_MS,
)
ALERT = Alert(id="a1", severity="warning", subject="s", text="t", as_of=START_MS)


def trade(kind: type[TradePaired | TradeUnpaired] = TradePaired, *, buys: bool = True) -> Transaction:
    """The posting of a trade, or of its reversal."""
    btc, usd = map(leg_from, pair("1", buys=buys))
    transaction = post_effect(record(kind(btc, usd, 0, pairing_key(btc), "dealer.transactions/0", 3)))
    assert transaction is not None
    return transaction


def judged(outcome: Outcome, transaction: Transaction | None = None, **why: Any) -> Judged:
    """A posting and what became of it."""
    posting = transaction or trade()
    return Judged(posting, Verdict(posting.id, outcome, **why))


REFUSED_TRADE = judged(Outcome.REJECTED, reason="over_limit", account="A", currency="USD", shortfall=5)
VALUES: dict[str, Any] = {
    "decision": DECISION,
    "order": ORDER,
    "transfer": TRANSFER,
    "order report": order_report("o1", "filled"),
    "transfer report": transfer_report("t1", "done"),
    "balance": liability(5),
    "posted trade": judged(Outcome.POSTED),
    "repeated trade": judged(Outcome.DUPLICATE),
    "refused trade": REFUSED_TRADE,
    "conflicting trade": judged(Outcome.CONFLICT, reason="other_body"),
    "posted fill": judged(Outcome.POSTED, post_fill(record(fill(-3)))),
    "waiting leg": LegWaits(LEG, "waiting", START_MS, START_MS + 1_999),
    "refused leg": LegRefused("b1", "failed", "it failed", "dealer.transactions/0", 3),
    "old leg": LegTooOld(LEG, pairing_key(LEG), START_MS, START_MS + 60_000),
    "alert": ALERT,
    "tick": tick(),
}
SAID = {
    "decision": {announce.decision: "hedge"},
    "order": {announce.order: "o1"},
    "transfer": {announce.transfer: "t1"},
    "order report": {announce.order_report: "o1"},
    "transfer report": {announce.transfer_report: "t1"},
    "balance": {announce.balance: "STABLESATS_OMNIBUS/USD"},
    "posted trade": {announce.user_trade: trade().id},
    "repeated trade": {announce.user_trade: trade().id},
    "refused trade": {announce.rejection: trade().id},
    "conflicting trade": {announce.rejection: trade().id, announce.conflict: content_id("conflict", trade().id)},
    "posted fill": {},
    "waiting leg": {announce.waiting: "b1"},
    "refused leg": {announce.refused: "b1"},
    "old leg": {announce.too_old: content_id("leg_too_old", "b1")},
    "alert": {announce.alert: "a1"},
    "tick": {},
}
SPEAKERS = (
    announce.decision,
    announce.order,
    announce.transfer,
    announce.order_report,
    announce.transfer_report,
    announce.balance,
    announce.user_trade,
    announce.rejection,
    announce.conflict,
    announce.too_old,
    announce.waiting,
    announce.refused,
    announce.alert,
)


@pytest.mark.parametrize("name", VALUES)
def test_who_speaks_about_what(name: str) -> None:
    """Each value is said by those whose topic it is for, under its own key, and by nobody else."""
    said = {speaker: answer for speaker in SPEAKERS if (answer := speaker(record(VALUES[name], START_MS + 60_000)))}
    assert SAID[name] == {speaker: key for speaker, (key, _) in said.items()}


def message(speaker: Any, value: Any) -> dict[str, Any]:
    """What is said, as plain JSON."""
    answer = speaker(record(value, START_MS + 60_000))
    assert answer is not None
    fields: dict[str, Any] = json.loads(encode(answer[1]))
    return fields


TOPICS = (
    (announce.user_trade, VALUES["posted trade"], topics.USER_TRADES),
    (announce.user_trade, judged(Outcome.POSTED, trade(TradeUnpaired, buys=False)), topics.USER_TRADES),
    (announce.rejection, REFUSED_TRADE, topics.LEDGER_REJECTIONS),
    (announce.conflict, VALUES["conflicting trade"], topics.ALERTS),
    (announce.too_old, VALUES["old leg"], topics.ALERTS),
    (announce.waiting, VALUES["waiting leg"], topics.LEGS_WAITING),
    (announce.refused, VALUES["refused leg"], topics.LEGS_REFUSED),
    (announce.balance, VALUES["balance"], topics.LEDGER_BALANCES),
)


@pytest.mark.parametrize(("speaker", "value", "topic"), TOPICS)
def test_what_is_said_can_be_read(speaker: Any, value: Any, topic: topics.Topic) -> None:
    """Every message is of its topic's model, written the way in which all messages are."""
    said = json.dumps(message(speaker, value), separators=(",", ":"), ensure_ascii=False).encode()
    assert said == encode(parser(topic.model)(said))


@pytest.mark.parametrize(("buys", "word"), [(True, "USD"), (False, "BTC")])
def test_a_user_trade(buys: bool, word: str) -> None:
    """A booked trade says what the user bought, how much of both, and from which legs."""
    booked = trade(buys=buys)
    said = message(announce.user_trade, judged(Outcome.POSTED, booked))
    assert {
        "schema_version": 1,
        "transaction_id": booked.id,
        "buys": word,
        "amount_sats": 50_000,
        "amount_cents": 2_000,
        "btc_leg_id": "b1",
        "usd_leg_id": "u1",
        "created_at": START_MS,
        "reverses": None,
    } == said


def test_a_reversal_names_what_it_reverses() -> None:
    """Who follows user trades can take a reversed one out."""
    back = trade(TradeUnpaired)
    said = message(announce.user_trade, judged(Outcome.POSTED, back))
    assert (back.id, trade().id) == (said["transaction_id"], said["reverses"])


def test_a_refused_posting_says_why() -> None:
    """A posting that was not booked is said with its reason, its shortfall and the message that caused it."""
    said = message(announce.rejection, REFUSED_TRADE)
    assert ("rejected", "over_limit", "A", "USD", 5) == tuple(
        said[name] for name in ("outcome", "reason", "account", "currency", "shortfall")
    )
    assert ("dealer.transactions/0", 3, START_MS + 60_000) == (said["source"], said["source_offset"], said["as_of"])


def test_a_waiting_leg_says_how_long() -> None:
    """Ages are whole seconds of stream time, rounded down."""
    said = message(announce.waiting, LegWaits(LEG, "waiting", START_MS, START_MS + 1_999))
    assert ("waiting", 2_000, 1) == (said["state"], said["worth_cents"], said["age_seconds"])


def test_alerts_can_be_told_apart() -> None:
    """The same trouble has the same id, another one another, and the text names what to look for."""
    one, other = message(announce.too_old, VALUES["old leg"]), message(announce.conflict, VALUES["conflicting trade"])
    assert ("warning", "critical") == (one["severity"], other["severity"])
    assert ("b1" in one["text"], "60 s" in one["text"], trade().id in other["text"]) == (True, True, True)
    assert one["id"] != other["id"]


def test_what_the_gateway_says_goes_where_it_says() -> None:
    """A message from the exchange is keyed by venue, at its own time."""
    said = announce.from_venue(("venue.orders", order_report("o1", "filled", at_ms=START_MS + 7)))
    assert ("venue.orders", START_MS + 7, VENUE.encode()) == said[:3]
