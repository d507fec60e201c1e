"""Announcing: what is told of each value, on which topic and under which key."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from domain.ids import content_id
from domain.ledger.body import can_be_stored
from domain.ledger.journal import Judged, Outcome, TakenBack, Transaction, Verdict, reversal_of
from domain.messages.decisions import Decision
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.ops import Alert
from domain.messages.settlement import SettlementResult
from domain.pairing.effects import LegRefused, LegTooOld, LegWaits, TradePaired, TradeUnpaired
from domain.pairing.legs import Leg, leg_from, pairing_key, user_buys_usd
from domain.postings.trades import post_effect
from domain.postings.venue import post_fill
from domain.settlement.results import After, Settled
from domain.streams.records import Outgoing, Record
from domain.templates import settlement
from domain.templates.exchange_position import fill_id
from domain.topics import BY_NAME
from domain.venue.fills import FillExplained, FillHeard, FillOfNobody
from operators import announce
from operators.streams.decode import parser
from operators.streams.publish import encode, said
from tests.domain.pairing.test_legs import ANY_LEGS
from tests.words import START_MS, VENUE, fill, leg, liability, order_report, pair, record, tick, transfer_report

LEG = leg_from(leg("b1"))
DECISION = Decision(
    id="d1",
    kind="hedge",
    venue=VENUE,
    policy="guarded",
    policy_version="v1",
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


HEARD = FillHeard(fill(-3), "venue.fills/0", 7)
FILL = post_fill(record(FillExplained(HEARD)))
assert FILL is not None
BACK = Transaction("r1", "REVERSAL", START_MS + 9, (), "c", "console/reversals", 0, "{}", reversal_of("t1"))
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
    "trade that a person took back first": judged(Outcome.REJECTED, reason="already_reversed"),
    "trade taken back": TakenBack(BACK, trade()),
    "fill taken back": TakenBack(BACK, FILL),
    "conflicting trade": judged(Outcome.CONFLICT, reason="other_body"),
    "posted fill": judged(Outcome.POSTED, FILL),
    "waiting leg": LegWaits(LEG, "waiting", START_MS, START_MS + 1_999),
    "refused leg": LegRefused("b1", "failed", "it failed", "dealer.transactions/0", 3),
    "contradicted leg": LegRefused("b1", "conflict", "first this, now that", "dealer.transactions/0", 3),
    "old leg": LegTooOld(LEG, pairing_key(LEG), START_MS, START_MS + 60_000),
    "fill": HEARD,
    "fill of nobody": FillOfNobody(fill(-3)),
    "alert": ALERT,
    "tick": tick(),
}
MAKERS = {**announce.PAIRING, **announce.FILLS, **announce.booking(followed=["DECREASE_EXCHANGE_POSITION"])}
SAID: dict[str, list[tuple[str, str]]] = {
    "decision": [("hedging.decisions", "simulated/hedge")],
    "order": [("hedging.orders", "o1")],
    "transfer": [("hedging.transfers", "t1")],
    "order report": [("venue.orders", "o1")],
    "transfer report": [("venue.transfers", "t1")],
    "balance": [("ledger.balances", "STABLESATS_OMNIBUS/USD")],
    "posted trade": [("user.trades", trade().id)],
    "repeated trade": [("user.trades", trade().id)],
    "refused trade": [("ledger.verdicts", trade().id), ("alerts", content_id("not_booked", trade().id))],
    "trade that a person took back first": [("ledger.verdicts", trade().id)],
    "trade taken back": [("user.trades", "r1")],
    "fill taken back": [],
    "conflicting trade": [("ledger.verdicts", trade().id), ("alerts", content_id("conflict", trade().id))],
    "posted fill": [("ledger.verdicts", VALUES["posted fill"].transaction.id)],
    "waiting leg": [("legs.waiting", "b1")],
    "refused leg": [("legs.refused", "b1")],
    "contradicted leg": [("legs.refused", "b1"), ("alerts", content_id("leg_conflict", "b1"))],
    "old leg": [("alerts", content_id("leg_too_old", "b1"))],
    "fill": [],
    "fill of nobody": [("alerts", content_id("fill_of_nobody", "simulated/f1"))],
    "alert": [("alerts", "a1")],
    "tick": [("market.ticks", "BTC-USD-SWAP")],
    "anything else": [],
}


def told(value: Any) -> list[Outgoing]:
    """What is told of a value."""
    return [*said(record(value, START_MS + 60_000), MAKERS)]


def messages(value: Any) -> list[dict[str, Any]]:
    """What is told of a value, as plain JSON."""
    return [json.loads(one.value) for one in told(value)]


@pytest.mark.parametrize("name", SAID)
def test_what_is_told_where(name: str) -> None:
    """Each value is told on the topics that it is for, under the key of the topic, and nowhere else."""
    assert SAID[name] == [(one.topic, (one.key or b"").decode()) for one in told(VALUES.get(name, name))]


@pytest.mark.parametrize("name", VALUES)
def test_what_is_told_can_be_read(name: str) -> None:
    """Every message is of its topic's model, written the way in which all messages are."""
    for one in told(VALUES[name]):
        assert one.value == encode(parser(BY_NAME[one.topic].model)(one.value))


def test_posted_verdicts_are_told_of_templates_that_are_followed() -> None:
    """Who asked for a booking can go on from the answer; of others only what was not posted is told."""
    (verdict,) = messages(VALUES["posted fill"])
    assert ("posted", "DECREASE_EXCHANGE_POSITION") == (verdict["outcome"], verdict["template"])
    assert [] == [*said(record(VALUES["posted fill"]), announce.booking())]


@pytest.mark.parametrize(("buys", "word"), [(True, "USD"), (False, "BTC")])
def test_a_user_trade(buys: bool, word: str) -> None:
    """A booked trade says what the user bought, how much of both, and from which legs."""
    booked = trade(buys=buys)
    (message,) = messages(judged(Outcome.POSTED, booked))
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
    } == message


@given(ANY_LEGS, ANY_LEGS, st.sampled_from([TradePaired, TradeUnpaired]))
def test_a_user_trade_is_written_as_json(btc: Leg, usd: Leg, kind: type[TradePaired | TradeUnpaired]) -> None:
    """Whatever its legs are called and however much they move, its bytes are those that JSON has for its fields."""
    booked = post_effect(record(kind(btc._replace(amount=1), usd, 0, "k", "dealer.transactions/0", 3)))
    assert booked is not None
    if not can_be_stored(booked.meta):
        return  # it is rejected, and not announced
    trade = {
        "schema_version": 1,
        "transaction_id": booked.id,
        "buys": "USD" if user_buys_usd(btc) else "BTC",
        "amount_sats": 1,
        "amount_cents": usd.amount,
        "btc_leg_id": btc.id,
        "usd_leg_id": usd.id,
        "created_at": booked.effective_at_ms,
        "reverses": booked.reverses,
    }
    assert to_json(trade) == announce.user_trade(booked, START_MS).value


def test_a_reversal_names_what_it_reverses() -> None:
    """Who follows user trades can take a reversed one out."""
    back = trade(TradeUnpaired)
    (message,) = messages(judged(Outcome.POSTED, back))
    assert (back.id, trade().id) == (message["transaction_id"], message["reverses"])


def test_what_a_person_took_back_is_a_user_trade_too() -> None:
    """It has the legs and amounts of the trade, the id of what takes it back, and names the trade."""
    (message,), (booked,) = messages(VALUES["trade taken back"]), messages(VALUES["posted trade"])
    assert booked | {"transaction_id": "r1", "reverses": "t1"} == message


def test_a_refused_posting_says_why() -> None:
    """A posting that was not booked is said with its reason, its shortfall and the message that caused it."""
    message, alert = messages(REFUSED_TRADE)
    assert "critical" == alert["severity"]
    for named in ("b1", "u1", "2000 cents", "over_limit on A in USD", f"ballast ledger rebook {trade().id}"):
        assert named in alert["text"]
    assert ("rejected", "over_limit", "A", "USD", 5) == tuple(
        message[name] for name in ("outcome", "reason", "account", "currency", "shortfall")
    )
    assert ("dealer.transactions/0", 3, START_MS + 60_000) == (message["source"], message["source_offset"], message["as_of"])


def test_a_fill_of_nobody_says_where_it_is_and_both_ways_out() -> None:
    """The alert names the fill, its order, its venue, the account that it is on, and what to do in either case."""
    (alert,) = messages(VALUES["fill of nobody"])
    assert ("critical", "fill_of_nobody") == (alert["severity"], alert["subject"])
    reverse = f"ballast ledger reverse {fill_id(VENUE, 'f1')} --effective-at 2023-11-14T22:13:20.000+00:00"
    for named in ("fill f1 of -3 contracts", "order o", f"POSITION_SUSPENSE/{VENUE}", "venue.orders", reverse):
        assert named in alert["text"]


def test_a_waiting_leg_says_how_long() -> None:
    """Ages are whole seconds of stream time, rounded down."""
    (message,) = messages(LegWaits(LEG, "waiting", START_MS, START_MS + 1_999))
    assert ("waiting", 2_000, 1) == (message["state"], message["worth_cents"], message["age_seconds"])


def test_alerts_can_be_told_apart() -> None:
    """The same trouble has the same id, another one another, and the text names what to look for."""
    (one,), (_, other) = messages(VALUES["old leg"]), messages(VALUES["conflicting trade"])
    assert ("warning", "critical") == (one["severity"], other["severity"])
    assert ("b1" in one["text"], "60 s" in one["text"], trade().id in other["text"]) == (True, True, True)
    assert one["id"] != other["id"]


def test_a_result_is_what_its_message_says() -> None:
    """Written from its fields it has the bytes that its model writes."""
    told = settlement.Told(1_700_000_000_000, "trades.matched/0", 3)
    sides = settlement.Sides("b", 's"', "BTC", "USDT", 7, 1_050, 40, 995, 15)
    terms = settlement.Terms("142", "seller", "o1", "o2", 10, 5, "0" * 32)
    trade = settlement.trade_settled("t1", "BTC_USDT", 9, sides, terms, told)
    gone = settlement.customer_withdrawal("w1", "u", "USDT", 7, told)
    after = (After('CUSTOMER/s"', "USDT", 995, 3),)
    cases = [
        (Settled(trade, Verdict(trade.id, Outcome.POSTED), after), "booked"),
        (Settled(trade, Verdict(trade.id, Outcome.DUPLICATE), None), "booked"),
        (Settled(gone, Verdict(gone.id, Outcome.CONFLICT), None), "refused"),
    ]
    for value, outcome in cases:
        said = next(iter(announce.settled(Record(5, "book_settlement/ledger-08", 0, value))))
        assert isinstance(said, Outgoing)
        result = SettlementResult.model_validate_json(said.value)
        assert (encode(result), outcome) == (said.value, result.outcome)
