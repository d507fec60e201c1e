"""From what happened to what is booked: one function per kind of fact, each a choice of ledger template.

All of it follows from the content of messages, so a replay makes the same postings with the same ids. A reversal is
effective when its trade was: it takes back what should never have been there.
"""

from typing import Any

from domain import legs
from domain.journal import Transaction
from domain.messages import CashFlow, Fill
from domain.money import CENTS_PER_CONTRACT
from domain.pairing_effects import Arrival, TradePaired, TradeUnpaired
from domain.streams import Record
from domain.templates import (
    CASH_FLOWS,
    USER_BUYS_USD,
    USER_SELLS_USD,
    decrease_exchange_position,
    increase_exchange_position,
    revert_user_buys_usd,
    revert_user_sells_usd,
    trade_id,
    user_buys_usd,
    user_sells_usd,
)


def second_of(arrival: Arrival) -> str:
    """Legs of one second meet in one shard, whatever else they say, so that a repeated id is seen to be one."""
    return str(arrival.leg.created_at_ms // 1000)


def post_effect(record: Record) -> Transaction | None:
    """A pair is booked, a pair that fell apart is reversed; nothing else is."""
    effect = record.value
    if isinstance(effect, TradePaired):
        return _book(effect)
    if isinstance(effect, TradeUnpaired):
        return _reverse(effect)
    return None


def _book(pair: TradePaired) -> Transaction | None:
    make = user_buys_usd if legs.user_buys_usd(pair.btc) else user_sells_usd
    return make(pair.btc.amount, pair.usd.amount, **_facts(pair))


def _reverse(pair: TradeUnpaired) -> Transaction | None:
    is_buy = legs.user_buys_usd(pair.btc)
    template = USER_BUYS_USD if is_buy else USER_SELLS_USD
    reverses = trade_id(template, pair.btc.created_at_ms, pair.btc.id, pair.usd.id, pair.generation)
    make = revert_user_buys_usd if is_buy else revert_user_sells_usd
    return make(pair.btc.amount, pair.usd.amount, reverses=reverses, **_facts(pair))


def _facts(pair: TradePaired | TradeUnpaired) -> dict[str, Any]:
    return {
        "effective_at_ms": pair.btc.created_at_ms,
        "pairing_key": pair.key,
        "btc_leg": legs.to_json(pair.btc),
        "usd_leg": legs.to_json(pair.usd),
        "generation": pair.generation,
        "source": pair.source,
        "source_offset": pair.source_offset,
    }


def post_fill(record: Record) -> Transaction | None:
    """The mirror of the position moves by what was executed: selling lowers the signed exposure."""
    fill: Fill = record.value
    change = increase_exchange_position if fill.contracts > 0 else decrease_exchange_position
    return change(
        abs(fill.contracts) * CENTS_PER_CONTRACT,
        effective_at_ms=fill.as_of,
        venue=fill.venue,
        instrument=fill.instrument,
        sequence=fill.sequence,
        source=record.source,
        source_offset=record.offset,
    )


def post_cash_flow(record: Record) -> Transaction | None:
    """A line of the exchange's own history, by its kind."""
    flow: CashFlow = record.value
    return CASH_FLOWS[flow.kind](
        flow.amount_sats,
        effective_at_ms=flow.as_of,
        venue=flow.venue,
        flow_id=flow.id,
        client_id=flow.client_id,
        source=record.source,
        source_offset=record.offset,
    )
