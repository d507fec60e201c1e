"""From what happened to what is booked: one function per kind of fact, each a choice of ledger template.

All of it follows from the content of messages, so a replay makes the same postings with the same ids. A reversal is
effective when its trade was: it takes back what should never have been there.
"""

from collections.abc import Callable

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
    return _trade(user_buys_usd if legs.user_buys_usd(pair.btc) else user_sells_usd, pair, None)


def _reverse(pair: TradeUnpaired) -> Transaction | None:
    is_buy = legs.user_buys_usd(pair.btc)
    booked = USER_BUYS_USD if is_buy else USER_SELLS_USD
    reverses = trade_id(booked, pair.btc.created_at_ms, pair.btc.id, pair.usd.id, pair.generation)
    return _trade(revert_user_buys_usd if is_buy else revert_user_sells_usd, pair, reverses)


def _trade(
    make: Callable[..., Transaction | None], pair: TradePaired | TradeUnpaired, reverses: str | None
) -> Transaction | None:
    btc, usd = pair.btc, pair.usd
    return make(
        btc.amount,
        usd.amount,
        effective_at_ms=btc.created_at_ms,
        pairing_key=pair.key,
        btc_leg=(btc.id, legs.to_json(btc)),
        usd_leg=(usd.id, legs.to_json(usd)),
        generation=pair.generation,
        source=pair.source,
        source_offset=pair.source_offset,
        reverses=reverses,
    )
