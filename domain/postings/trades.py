"""From what happened to what is booked: one function per kind of fact, each a choice of ledger template.

All of it follows from the content of messages, so a replay makes the same postings with the same ids. A reversal is
effective when its trade was: it takes back what should never have been there.
"""

from typing import Any

from domain.ledger.journal import Transaction
from domain.pairing import legs
from domain.pairing.effects import Effect, TradePaired, TradeUnpaired
from domain.streams.records import Record
from domain.templates.user_trades import (
    USER_BUYS_USD,
    USER_SELLS_USD,
    revert_user_buys_usd,
    revert_user_sells_usd,
    trade_id,
    user_buys_usd,
    user_sells_usd,
)


def post_effect(record: Record[Effect]) -> Transaction | None:
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
