"""The load of the settlement: customers with money and one large order each, and trades between them, made fast and the same
every time.

Even customers buy, odd ones sell. Of a hot pair nine trades in ten are between the same two customers.
"""

from collections.abc import Iterator
from hashlib import blake2b
from random import Random  # noqa: TID251 - seeded

from domain.settlement.links import GENESIS

SYMBOL = "BTC_USDT"
INSTRUMENT = (
    '{{"symbol":"BTC_USDT","base":"BTC","base_decimals":8,"quote":"USDT","quote_decimals":6,"tick":"0.01","lot":1000,'
    '"status":"open","fees":"standard","by":"bench","reason":"a load","as_of":{at_ms}}}'
)
DEPOSITS = (("USDT", 10**20), ("BTC", 10**16))
ORDERS = (("buy", "50000"), ("sell", "40000"))
ORDERED = 10**13
"""In smallest units: more than all trades of a run take of one order."""


def deposits(users: int, at_ms: int) -> Iterator[bytes]:
    """Yield what each customer pays in."""
    for n in range(users):
        asset, amount = DEPOSITS[n % 2]
        text = f'{{"id":"d{n}","customer":"u{n}","asset":"{asset}","amount":{amount},"kind":"deposit","as_of":{at_ms}}}'
        yield text.encode()


def locks(users: int, at_ms: int) -> Iterator[bytes]:
    """Yield the order of each customer."""
    for n in range(users):
        side, limit = ORDERS[n % 2]
        yield (
            f'{{"order_id":"o{n}","customer":"u{n}","symbol":"{SYMBOL}","command":"lock","side":"{side}","limit":"{limit}",'
            f'"quantity":{ORDERED},"as_of":{at_ms}}}'
        ).encode()


class Tape:
    """The trades of the symbol, each linked to the one before it, from the first on."""

    def __init__(self, users: int, seed: int = 1) -> None:
        self._pairs, self._dice = users // 2, Random(seed)  # noqa: S311 - the same every time
        self._sequence, self._hash = 0, GENESIS

    def trades(self, count: int, at_ms: int, *, is_hot: bool = False) -> Iterator[bytes]:
        """Yield the next trades."""
        for _ in range(count):
            cold = not is_hot or self._dice.random() < 0.1
            buyer, seller = [self._dice.randrange(self._pairs) if cold else 0 for _ in range(2)]
            yield self._trade(buyer, seller, at_ms)

    def _trade(self, buyer: int, seller: int, at_ms: int) -> bytes:
        self._sequence += 1
        n, b, s = self._sequence, 2 * buyer, 2 * seller + 1
        price, quantity = f"{45_000 + n % 100}", f"{1000 * (1 + n % 50)}"
        sides = (f"u{b}", f"o{b}", f"u{s}", f"o{s}", "seller")
        said = (self._hash, SYMBOL, str(n), f"t{n}", price, quantity, *sides, str(at_ms))
        previous, self._hash = self._hash, blake2b("\x1f".join(said).encode(), digest_size=16).hexdigest()
        return (
            f'{{"symbol":"{SYMBOL}","sequence":{n},"trade_id":"t{n}","price":"{price}","quantity":{quantity},"buyer":"u{b}",'
            f'"buy_order_id":"o{b}","seller":"u{s}","sell_order_id":"o{s}","maker":"seller","as_of":{at_ms},'
            f'"previous_hash":"{previous}","hash":"{self._hash}"}}'
        ).encode()
