"""The other load: user trades as the flow posts them, with both legs whole in their metadata, about 550 bytes of it.

They are booked between four accounts of the chart only.
"""

from collections.abc import Iterator

from app.bench.load import trade_lines
from app.bench.posting.copying import TABLES, copied
from app.bench.posting.running import BATCH, posted
from connectors.clock import now_ms
from domain.ledger.accounts import FIXED
from domain.ledger.journal import Transaction
from domain.messages.dealer import DealerTransaction
from domain.pairing.effects import TradePaired
from domain.pairing.legs import leg_from, pairing_key
from domain.postings.trades import post_effect
from domain.streams.records import Record


def user_trades(run: str, count: int, start_ms: int) -> list[Transaction]:
    """User trades, four entries each, as of `start_ms` and later."""
    return list(_user_trades(run, count, start_ms))


def _user_trades(run: str, count: int, start_ms: int) -> Iterator[Transaction]:
    for number, lines in enumerate(trade_lines(run, 0, count, start_ms)):
        btc, usd = (leg_from(DealerTransaction.model_validate_json(line)) for line in lines)
        effect = TradePaired(btc, usd, 0, pairing_key(btc), "bench/0", number)
        posting = post_effect(Record(start_ms, "bench/0", number, effect))
        if posting is not None:
            yield posting


def posting_rate(dsn: str, count: int, batch: int = BATCH) -> float:
    """User trades posted per second, with all guards on, in batches of `batch`."""
    at_ms = now_ms()
    return posted(dsn, user_trades(f"posting-{at_ms:x}", count, at_ms), batch, accounts=FIXED).per_second


def copy_rate(dsn: str, count: int) -> float:
    """Transactions per second of COPY alone: the newest `count` that were posted."""
    return copied(dsn, count // BATCH, TABLES).per_second
