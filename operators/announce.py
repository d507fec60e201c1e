"""What is told of each kind of value: which messages a verdict, a waiting leg or a refused one makes.

Messages that are values of a feed themselves (decisions, orders, balances, reports) need no word here: a message knows its
topic, and the topic its key.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

from domain.ids import content_id
from domain.ledger.accounts import at_venue
from domain.ledger.body import quoted
from domain.ledger.clearing import crossings_of
from domain.ledger.journal import Judged, NamedLeg, Outcome, TakenBack, Transaction, Verdict, named_legs
from domain.messages.fields import Message
from domain.messages.ledger import LedgerVerdict
from domain.messages.legs import LegRefusal, WaitingLeg
from domain.messages.ops import Alert
from domain.messages.settlement import (
    CustomerCorrection,
    CustomerFlow,
    MatchedTrade,
    OrderLock,
    SettlementResult,
    TradeReplay,
)
from domain.pairing.effects import LegRefused, LegTooOld, LegWaits
from domain.postings.settlement import KINDS
from domain.settlement.answers import Word
from domain.settlement.desk import Trouble
from domain.settlement.records import refusal_of
from domain.settlement.results import After, Settled
from domain.streams.records import Outgoing, Record
from domain.templates.exchange_position import SUSPENSE, fill_id
from domain.times import datetime_of
from domain.topics import SETTLEMENT_RESULTS, USER_TRADES
from domain.venue.fills import FillOfNobody
from operators.streams.publish import Makers

BUYS = frozenset(("USER_BUYS_USD", "REVERT_USER_BUYS_USD"))
TRADES = BUYS | {"USER_SELLS_USD", "REVERT_USER_SELLS_USD"}

PAIRING: Makers = {
    LegWaits: lambda record: [waiting(record)],
    LegRefused: lambda record: [refused(record), *contradicted(record)],
    LegTooOld: lambda record: [too_old(record)],
}

FILLS: Makers = {FillOfNobody: lambda record: [of_nobody(record)]}


def booking(followed: Collection[str] = ()) -> Makers:
    """Return what is told of verdicts; of the templates that are followed, posted ones too."""

    def judged(record: Record[Judged]) -> Iterator[Message | Outgoing]:
        transaction, verdict = record.value
        is_booked = verdict.outcome in (Outcome.POSTED, Outcome.DUPLICATE)
        if is_booked and transaction.template in TRADES:
            yield user_trade(transaction, record.at_ms)
        if not is_booked or transaction.template in followed:
            yield verdict_of(record)
        if is_booked:
            yield from crossings_of(transaction)
        if verdict.outcome is Outcome.CONFLICT:
            yield conflict(record)
        if verdict.outcome is Outcome.REJECTED and transaction.template not in followed and not _is_done(verdict):
            yield not_booked(record)

    return {Judged: judged, TakenBack: taken_back}


def _is_done(verdict: Verdict) -> bool:
    """Whether a refusal says that what was asked for is so already: a person was quicker."""
    return verdict.reason == "already_reversed"


def taken_back(record: Record[TakenBack]) -> Iterator[Outgoing]:
    """Yield that a person has taken a user trade back; of what else people take back there is no topic."""
    reversal, original = record.value
    if original.template in TRADES:
        yield user_trade(original._replace(id=reversal.id, cause=reversal.cause), record.at_ms)


def user_trade(transaction: Transaction, at_ms: int) -> Outgoing:
    """Return a trade that is booked; it is said again when a replay finds it booked, so that nobody downstream misses it."""
    btc, usd = _legs(transaction.meta)
    reverses = transaction.reverses
    # By far the most frequent message: written from its fields, which were validated when the legs were read.
    buys = "USD" if transaction.template in BUYS else "BTC"
    trade = (
        f'{{"schema_version":1,"transaction_id":{quoted(transaction.id)},"buys":"{buys}",'
        f'"amount_sats":{btc.amount},"amount_cents":{usd.amount},'
        f'"btc_leg_id":{quoted(btc.id)},"usd_leg_id":{quoted(usd.id)},'
        f'"created_at":{transaction.effective_at_ms},"reverses":{"null" if reverses is None else quoted(reverses)}}}'
    )
    return Outgoing(USER_TRADES.name, at_ms, transaction.id.encode(), trade.encode())


def _legs(meta: str) -> tuple[NamedLeg, NamedLeg]:
    named = named_legs(meta)
    if named.btc_leg is None or named.usd_leg is None:
        msg = f"the metadata of a user trade names two legs, and not {meta}"
        raise ValueError(msg)
    return named.btc_leg, named.usd_leg


def verdict_of(record: Record[Judged]) -> LedgerVerdict:
    """Return what became of a posting."""
    transaction, verdict = record.value
    return LedgerVerdict(
        transaction_id=transaction.id,
        template=transaction.template,
        outcome=verdict.outcome.value,
        reason=verdict.reason,
        account=verdict.account,
        currency=verdict.currency,
        shortfall=verdict.shortfall,
        source=transaction.source,
        source_offset=transaction.source_offset,
        as_of=record.at_ms,
    )


def conflict(record: Record[Judged]) -> Alert:
    """Return the alert that the same id came with another body: somebody has to look."""
    transaction = record.value.transaction
    told = f"posting {transaction.id} ({transaction.template}) came again with another body, from {transaction.source}"
    return _alert("conflict", "critical", transaction.id, told, record.at_ms)


def not_booked(record: Record[Judged]) -> Alert:
    """Return the alert that the ledger refuses what has happened: the books lack it until somebody books it again."""
    transaction, verdict = record.value
    where = f" on {verdict.account} in {verdict.currency}" if verdict.account else ""
    what = f"{transaction.template} {transaction.id}{_of_legs(transaction)}"
    told = f"{what} was rejected as {verdict.reason}{where}, so the books lack it"
    way = f"mend the cause, then: ballast ledger rebook {transaction.id}"
    return _alert("not_booked", "critical", transaction.id, f"{told}; {way}", record.at_ms)


def _of_legs(transaction: Transaction) -> str:
    if transaction.template not in TRADES:
        return ""
    btc, usd = _legs(transaction.meta)
    return f", {usd.amount} cents for {btc.amount} sats of legs {btc.id} and {usd.id},"


SETTLED: Mapping[str, str] = {template: kind for kind, template in KINDS.items()}
"""What a word asked for, by the template of its posting."""


def settled(record: Record[Settled]) -> Iterator[Message | Outgoing]:
    """Yield what became of a word of the settlement; said again, without balances, when a replay finds it booked."""
    transaction, verdict, after = record.value
    if verdict.outcome in (Outcome.POSTED, Outcome.DUPLICATE):
        yield _result(record.at_ms, transaction, after, "booked", None)
    else:
        reason = "booked_otherwise" if verdict.outcome is Outcome.CONFLICT else "refused_by_books"
        yield _result(record.at_ms, transaction, None, "refused", reason)
        yield from booking()[Judged](Record(record.at_ms, record.source, record.offset, Judged(transaction, verdict)))


def _result(
    at_ms: int, transaction: Transaction, after: Sequence[After] | None, outcome: str, reason: str | None
) -> Outgoing:
    """Return a result as it leaves. There is one for each word: written from its fields, which were validated with that."""
    meta = json.loads(transaction.meta)
    name, symbol = meta.get("trade") or meta["name"], meta.get("symbol")
    rows = None if after is None else ",".join([f"[{quoted(a)},{quoted(c)},{n},{v}]" for a, c, n, v in after])
    text = (
        f'{{"schema_version":1,"kind":"{SETTLED[transaction.template]}","id":{quoted(name)},"outcome":"{outcome}",'
        f'"reason":{_or_null(reason)},"shortfall":null,"symbol":{_or_null(symbol)},"sequence":{meta.get("sequence") or "null"},'
        f'"after":{"null" if rows is None else f"[{rows}]"},"as_of":{at_ms}}}'
    )
    return Outgoing(SETTLEMENT_RESULTS.name, at_ms, name.encode(), text.encode())


def _or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def refused_word(record: Record[Any]) -> Iterator[SettlementResult]:
    """Yield that a word of the settlement is refused, and why."""
    put = refusal_of(record.value)
    if put is not None:
        word, _, (reason, shortfall) = put
        told = {"outcome": "refused", "reason": reason, "shortfall": shortfall, "as_of": record.at_ms}
        yield SettlementResult.model_validate(_named(word) | told)


def _named(word: Word) -> dict[str, object]:
    match word:
        case TradeReplay():
            return {
                "kind": "replay",
                "id": word.trade.trade_id,
                "symbol": word.trade.symbol,
                "sequence": word.trade.sequence,
            }
        case CustomerCorrection():
            return {"kind": "correction", "id": word.id}
        case MatchedTrade():
            return {"kind": "trade", "id": word.trade_id, "symbol": word.symbol, "sequence": word.sequence}
        case OrderLock():
            return {"kind": word.command, "id": word.order_id, "symbol": word.symbol}
        case CustomerFlow():
            return {"kind": word.kind, "id": word.id}


def symbol_stands(record: Record[Trouble]) -> Iterator[Alert]:
    """Yield the alert that a symbol stands still: nothing of it settles until the right trade comes."""
    symbol, sequence, what = record.value
    told = _STANDS[what].format(symbol=symbol, sequence=sequence)
    yield _alert(what, "critical", f"{symbol}/{sequence}", told, record.at_ms)


_STANDS = {
    "trade_missing": "trade {sequence} of {symbol} is missing, so its later trades wait; have the exchange send it again",
    "link_broken": "trade {sequence} of {symbol} does not follow the one before it, so {symbol} stands still; "
    "have the exchange send the right one",
    "pair_changed": "{symbol} was told anew with another pair or other decimals, which is passed over since orders rest on it; "
    "name a new symbol",
}


def too_old(record: Record[LegTooOld]) -> Alert:
    """Return the alert that a leg waits longer than it should."""
    leg, since_ms = record.value.leg, record.value.since_ms
    told = f"leg {leg.id}, worth {leg.cents} cents, has waited for its other half for {(record.at_ms - since_ms) // 1000} s"
    return _alert("leg_too_old", "warning", leg.id, told, record.at_ms)


def of_nobody(record: Record[FillOfNobody]) -> Alert:
    """Return the alert that something was executed at an exchange that no order of ours explains."""
    fill = record.value.fill
    told = f"{fill.venue} says fill {fill.id} of {fill.contracts} contracts, of order {fill.client_order_id}, which is none"
    kept = f"of ours; it is booked on {at_venue(SUSPENSE, fill.venue)} and not in the position"
    at = datetime_of(fill.as_of).isoformat(timespec="milliseconds")
    wrong = f"ballast ledger reverse {fill_id(fill.venue, fill.id)} --effective-at {at}"
    way = f"if it was executed, say of its order on venue.orders that it is ours; if it never was: {wrong}"
    return _alert("fill_of_nobody", "critical", f"{fill.venue}/{fill.id}", f"{told} {kept}; {way}", record.at_ms)


def waiting(record: Record[LegWaits]) -> WaitingLeg:
    """Return that a leg has no partner, or waits no longer."""
    leg, state, since_ms, at_ms = record.value.leg, record.value.state, record.value.since_ms, record.value.at_ms
    return WaitingLeg(
        leg_id=leg.id,
        state=state,
        worth_cents=leg.cents,
        created_at=leg.created_at_ms,
        age_seconds=max(0, at_ms - since_ms) // 1000,
        as_of=at_ms,
    )


def refused(record: Record[LegRefused]) -> LegRefusal:
    """Return that a leg will not be paired."""
    refusal = record.value
    return LegRefusal(
        leg_id=refusal.leg_id,
        reason=refusal.reason,
        detail=refusal.detail,
        source=refusal.source,
        source_offset=refusal.source_offset,
        as_of=record.at_ms,
    )


def contradicted(record: Record[LegRefused]) -> Iterator[Alert]:
    """Yield the alert that two successful words on one leg contradict each other: somebody has to find out which is right."""
    refusal = record.value
    if refusal.reason == "conflict":
        yield _alert("leg_conflict", "critical", refusal.leg_id, f"leg {refusal.leg_id}: {refusal.detail}", record.at_ms)


def _alert(subject: str, severity: Literal["warning", "critical"], name: str, text: str, at_ms: int) -> Alert:
    return Alert(id=content_id(subject, name), severity=severity, subject=subject, text=text, as_of=at_ms)
