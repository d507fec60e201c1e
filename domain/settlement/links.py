"""What links a trade to the one before it: a hash of all that it says, that one's hash among it."""

from hashlib import blake2b

from domain.messages.settlement import MatchedTrade
from domain.money import price_text

GENESIS = "0" * 32
"""What the first trade of a symbol names as the hash of the one before it."""


def hash_of(trade: MatchedTrade) -> str:
    """Return the hash of a trade, whatever it says that its hash is."""
    said = (
        trade.previous_hash,
        trade.symbol,
        str(trade.sequence),
        trade.trade_id,
        price_text(trade.price),
        str(trade.quantity),
        trade.buyer,
        trade.buy_order_id,
        trade.seller,
        trade.sell_order_id,
        trade.maker,
        str(trade.as_of),
    )
    return blake2b("\x1f".join(said).encode(), digest_size=16).hexdigest()


def linked(trade: MatchedTrade) -> MatchedTrade:
    """Return a trade with the hash that it has."""
    return trade.model_copy(update={"hash": hash_of(trade)})
