"""Settled trades with both sides: page by page for people, all of them as CSV.

A page ends at a place in an index, so it takes the same time however many trades there are. Amounts are in smallest units.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from psycopg.rows import dict_row
from pydantic import TypeAdapter

from app.reports.settlement.cursors import Versions, cursor_of, passed, place_of
from app.reports.tables import plain
from domain.errors import ConfigError
from domain.times import ms_of
from sinks.ledger.export import snapshot
from sinks.ledger.history import BY_INDEX
from sinks.postgres import Connection, connect
from sinks.queries import ask, text_of

Report = dict[str, Any]

SEQUENCE_MAX = 2**63 - 1
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
ROWS = 1_000
"""So many rows are fetched at once for a file."""

_VERSIONS, _SEQUENCE, _MOMENT = TypeAdapter(Versions), TypeAdapter(int), TypeAdapter(tuple[str, str])
_SHOWN = (
    "trade_id", "symbol", "sequence", "settled_at", "price", "quantity", "base", "quote", "buyer", "seller", "maker",
    "buy_order", "sell_order", "buyer_locked", "buyer_refund", "buyer_fee", "seller_proceeds", "seller_fee",
    "buyer_base_after", "buyer_base_version", "buyer_quote_after", "buyer_quote_version",
    "buyer_refunded_after", "buyer_refunded_version",
    "seller_base_after", "seller_base_version", "seller_quote_after", "seller_quote_version", "tx_id", "reversed_by",
)  # fmt: skip


class Asked(NamedTuple):
    """Which trades: of a symbol, of a customer, of numbers, and of when."""

    symbol: str | None = None
    customer: str | None = None
    sequence: int | None = None
    from_sequence: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def times(self) -> Report:
        """Return the times as a query wants them."""
        return {"since": self.since or "-infinity", "until": self.until or "infinity"}


def check(asked: Asked) -> None:
    """ConfigError when numbers are asked for without the symbol that they count in."""
    if asked.symbol is None and (asked.sequence, asked.from_sequence) != (None, None):
        msg = "numbers count within a symbol, so say of which one: --symbol SYMBOL --sequence NUMBER"
        raise ConfigError(msg)
    if asked.from_sequence is not None and (asked.customer, asked.sequence) != (None, None):
        msg = "--from-sequence goes with --symbol, and neither with --customer nor with --sequence"
        raise ConfigError(msg)


def read_trades(dsn: str, asked: Asked, after: str | None, limit: int) -> Report:
    """Return a page of trades, the newest first (from a number on: upward), and where the next one begins, None at the end."""
    check(asked)
    with connect(dsn, "reader", "settlement trades") as connection, snapshot(connection):
        connection.execute(BY_INDEX)
        rows, place = _page(connection, asked, after, limit + 1)
    more = len(rows) > limit
    return {"trades": [_shown(row) for row in rows[:limit]], "next": cursor_of(place(rows[:limit])) if more else None}


def _shown(row: Mapping[str, Any]) -> Report:
    return {name: plain(row[name]) for name in _SHOWN}


def _page(connection: Connection, asked: Asked, after: str | None, limit: int) -> tuple[list[Report], Any]:
    """Return one row more than a page has, and what makes a place of the rows that are shown."""
    if asked.customer is not None:
        return _of_customer(connection, asked, after, limit)
    if asked.sequence is not None or asked.from_sequence is not None:
        return _upward(connection, asked, after, limit)
    if asked.symbol is not None:
        return _of_symbol(connection, asked, after, limit)
    return _by_time(connection, asked, after, limit)


def _of_customer(connection: Connection, asked: Asked, after: str | None, limit: int) -> tuple[list[Report], Any]:
    told = {"customer": asked.customer, "symbol": asked.symbol, "sequence": asked.sequence}
    if after is None:
        found = ask(connection, "settlement_locked_versions", {"customer": asked.customer})
        place = {row["asset"]: row["version"] + 1 for row in found}
    else:
        place = place_of(after, _VERSIONS)
    versions = TypeAdapter(Versions).dump_json(place).decode()
    told |= {"after": versions, "row_limit": limit, **asked.times()}
    rows = ask(connection, "settlement_trades_of_customer", told)
    return rows, lambda shown: passed(place, [(row["locked_asset"], row["locked_version"]) for row in shown])


def _of_symbol(connection: Connection, asked: Asked, after: str | None, limit: int) -> tuple[list[Report], Any]:
    under = None if after is None else place_of(after, _SEQUENCE)
    told = {"symbol": asked.symbol, "after_sequence": under, "row_limit": limit, **asked.times()}
    return ask(connection, "settlement_trades_of_symbol", told), lambda shown: shown[-1]["sequence"]


def _upward(connection: Connection, asked: Asked, after: str | None, limit: int) -> tuple[list[Report], Any]:
    first = asked.sequence if asked.sequence is not None else asked.from_sequence
    start = first if after is None else place_of(after, _SEQUENCE) + 1
    last = SEQUENCE_MAX if asked.sequence is None else asked.sequence
    told = {"symbol": asked.symbol, "from_sequence": start, "until_sequence": last, "row_limit": limit, **asked.times()}
    return ask(connection, "settlement_trades_from", told), lambda shown: shown[-1]["sequence"]


def _by_time(connection: Connection, asked: Asked, after: str | None, limit: int) -> tuple[list[Report], Any]:
    at, id_ = ("infinity", LAST_ID) if after is None else place_of(after, _MOMENT)
    told = {"after_at": at, "after_id": id_, "row_limit": limit, **asked.times()}
    rows = ask(connection, "settlement_trades_by_time", told)
    return rows, lambda shown: (shown[-1]["settled_at"].isoformat(), str(shown[-1]["tx_id"]))


# As a file

CSV_COLUMNS = (
    "trade_id", "output_sequence", "match_seq", "buy_order_id", "sell_order_id", "buyer_user_id", "seller_user_id", "price",
    "quantity", "base_asset", "quote_asset", "buyer_refund", "seller_refund", "settled_at", "trade_date",
    "buyer_base_version", "buyer_quote_version", "seller_base_version", "seller_quote_version",
    "buyer_base_after", "buyer_quote_after", "seller_base_after", "seller_quote_after",
    "symbol", "maker", "buyer_locked", "buyer_fee", "seller_proceeds", "seller_fee", "hash", "reversed_by",
)  # fmt: skip
"""The columns of the trade record of the seed, in its order, and then ours."""


def write_csv(dsn: str, asked: Asked, file: Path) -> int:
    """Write settled trades as CSV, by symbol and number, and return how many; the same books make the same bytes."""
    if (asked.customer, asked.sequence, asked.from_sequence) != (None, None, None):
        msg = "a file has all trades of a symbol, or of all symbols: --csv goes with --symbol, --since and --until alone"
        raise ConfigError(msg)
    with written(file) as out, connect(dsn, "reader", "settlement export") as connection, snapshot(connection):
        connection.execute(BY_INDEX)
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(CSV_COLUMNS)
        count = 0
        for row in _in_order(connection, asked):
            lines.writerow(_line(row))
            count += 1
    return count


def _in_order(connection: Connection, asked: Asked) -> Iterator[Report]:
    """Yield trades by symbol and number; how a database sorts texts is its own affair."""
    known = [row["symbol"] for row in ask(connection, "settlement_symbols")]
    for symbol in sorted(known) if asked.symbol is None else [asked.symbol]:
        yield from streamed(connection, "settlement_trades_export", {"symbol": symbol, **asked.times()})


def _line(row: Mapping[str, Any]) -> Sequence[object]:
    at: datetime = row["settled_at"]
    told = {
        **row,
        "output_sequence": row["sequence"],
        "match_seq": row["sequence"],
        "buy_order_id": row["buy_order"],
        "sell_order_id": row["sell_order"],
        "buyer_user_id": row["buyer"],
        "seller_user_id": row["seller"],
        "base_asset": row["base"],
        "quote_asset": row["quote"],
        "seller_refund": 0,
        "settled_at": ms_of(at),
        "trade_date": at.date().isoformat(),
    }
    return [int(value) if isinstance(value, Decimal) else value for value in (told[name] for name in CSV_COLUMNS)]


def streamed(connection: Connection, name: str, parameters: Mapping[str, object]) -> Iterator[Report]:
    """Yield the rows of a query without holding all of them, within the transaction that is open."""
    with closing(connection.cursor("streamed", row_factory=dict_row)) as cursor:
        cursor.itersize = ROWS
        yield from cursor.execute(text_of(name).encode(), parameters)


@contextmanager
def written(file: Path) -> Iterator[TextIO]:
    """Yield a file that takes its name when the block has ended well; ConfigError where it cannot be written."""
    draft = file.with_name(f"{file.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as out:
            yield out
        draft.replace(file)
    except OSError as error:
        msg = f"{file} cannot be written: {error.strerror}"
        raise ConfigError(msg) from error
    finally:
        draft.unlink(missing_ok=True)
