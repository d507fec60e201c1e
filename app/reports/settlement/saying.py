"""What people say to the settlement: replays, corrections and votes, each checked against what is known before it is said."""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from re import fullmatch
from typing import Any, TypeVar

from app.reports.said import message
from app.reports.settlement.refused import failed
from app.reports.settlement.words import remedy_of
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.errors import ConfigError
from domain.ids import content_id, timeless_id
from domain.messages.fields import Message
from domain.messages.settlement import CustomerCorrection, TradeReplay
from domain.postings.settlement import KINDS
from domain.settlement.desk import UNCHAINED
from domain.topics import SETTLEMENT_CORRECTIONS
from operators.streams.decode import Refused, parser
from sinks.postgres import connect
from sinks.queries import ask

M = TypeVar("M", bound=Message)
Report = dict[str, Any]


# Replays


def replay(dsn: str, trade_id: str, symbol: str | None, by: str, reason: str) -> TradeReplay:
    """Return what has a trade settled after all; ConfigError for one that is not in quarantine, or cannot be."""
    rows = list(failed(dsn, trade_id=trade_id, symbol=symbol))
    if _is_booked(dsn, "trade", trade_id):
        msg = f"a trade {trade_id} is settled already: ballast settlement trades"
        raise ConfigError(msg)
    if not rows:
        msg = f"there is no trade {trade_id} in quarantine; those there are: ballast settlement quarantine --kind trade"
        raise ConfigError(msg)
    in_turn = [row for row in rows if row["reason"] not in UNCHAINED]
    if not in_turn:
        msg = f"the trade {trade_id} was refused as {rows[0]['reason']}; {remedy_of(rows[0]['reason'])}"
        raise ConfigError(msg)
    if len({row["body"]["hash"] for row in in_turn}) > 1:
        symbols = ", ".join(sorted({row["symbol"] for row in in_turn}))
        msg = f"several trades {trade_id} were refused, of {symbols}; say of which symbol: --symbol SYMBOL"
        raise ConfigError(msg)
    return _replayed(in_turn[0], by, reason)


def replays(dsn: str, was: str, symbol: str | None, by: str, reason: str) -> Iterator[TradeReplay]:
    """Return what has all trades settled that were refused for a reason; ConfigError where no such trade can be."""
    if was in UNCHAINED:
        msg = f"trades that were refused as {was} cannot be settled; {remedy_of(was)}"
        raise ConfigError(msg)
    rows = failed(dsn, symbol=symbol, reason=was)
    first = next(rows, None)
    if first is None:
        msg = f"no trade is in quarantine as {was}; what is there: ballast settlement status"
        raise ConfigError(msg)
    return (_replayed(row, by, reason) for row in _each_once(first, rows))


def _each_once(first: Report, others: Iterable[Report]) -> Iterator[Report]:
    """Yield one row of each trade; rows of one trade follow each other."""
    yield first
    before = first["body"]["hash"]
    for row in others:
        if row["body"]["hash"] != before:
            yield row
        before = row["body"]["hash"]


def _replayed(row: Report, by: str, reason: str) -> TradeReplay:
    return message(TradeReplay, {"trade": row["body"], "by": by, "reason": reason})


# Corrections


def correction(
    dsn: str, customer: str, asset: str, amount: int, by: str, reason: str, name: str | None
) -> CustomerCorrection:
    """Return what asks for a correction; ConfigError when one of that name is booked or refused already."""
    told = {"customer": customer, "asset": asset, "amount": amount, "by": by, "reason": reason}
    id_ = name or f"fix:{content_id('correction', *map(str, told.values()), str(now_ms()))}"
    _check_open(dsn, id_)
    return message(CustomerCorrection, {"id": id_, **told})


def check_vote(dsn: str, kafka: KafkaSettings, id_: str, by: str) -> CustomerCorrection:
    """Return the correction that somebody votes on; ConfigError when nobody has asked for it, it is over, or it is their own."""
    _check_open(dsn, id_)
    asked = _asked(kafka, id_)
    if asked is None:
        msg = f"nobody has asked for a correction {id_}; to ask: ballast settlement correct --help"
        raise ConfigError(msg)
    if asked.by == by:
        msg = f"{by} has asked for the correction {id_}, so somebody else has to vote: --by NAME"
        raise ConfigError(msg)
    return asked


def _asked(kafka: KafkaSettings, id_: str) -> CustomerCorrection | None:
    """Return what was asked for first under a name: that stands."""
    parse, found = parser(CustomerCorrection), list[tuple[int, CustomerCorrection]]()
    with closing(Peek(kafka)) as peek:
        for _, one in peek.everything(SETTLEMENT_CORRECTIONS.name):
            with suppress(Refused):
                read = parse(one.value)
                if read.id == id_:
                    found.append((one.at_ms, read))
    return min(found, key=lambda one: one[0], default=(0, None))[1]


def _check_open(dsn: str, id_: str) -> None:
    for row in _word(dsn, "correction", id_):
        if row["is_booked"]:
            msg = f"the correction {id_} is booked already; what it changed: ballast settlement balance CUSTOMER"
            raise ConfigError(msg)
        if row["reason"] == "denied":
            msg = f"the correction {id_} was denied; if it is needed after all, ask under a new id"
            raise ConfigError(msg)


def _is_booked(dsn: str, kind: str, id_: str) -> bool:
    return any(row["is_booked"] for row in _word(dsn, kind, id_))


def _word(dsn: str, kind: str, id_: str) -> list[Report]:
    told = {"kinds": [kind], "word_id": id_, "tx_id": timeless_id(KINDS[kind], id_)}
    with connect(dsn, "reader", "settlement word") as connection:
        return ask(connection, "settlement_word", told)


# Amounts


def smallest(dsn: str, asset: str, text: str) -> int:
    """Return an amount that a person typed in whole units of an asset, in smallest ones, exact; ConfigError when it cannot be."""
    decimals = decimals_of(dsn, asset)
    if not fullmatch(r"-?[0-9]{1,24}(\.[0-9]+)?", text):
        msg = f"the amount {text!r} is none; write it in whole {asset} with a point, such as -42.5"
        raise ConfigError(msg)
    whole, _, fraction = text.removeprefix("-").partition(".")
    if fraction[decimals:].strip("0"):
        msg = f"the amount {text} is finer than {asset} is counted in: it has {decimals} digits behind the point"
        raise ConfigError(msg)
    return int(whole + fraction[:decimals].ljust(decimals, "0")) * (-1 if text.startswith("-") else 1)


def decimals_of(dsn: str, asset: str) -> int:
    """Return how many decimals an asset has by the instruments; ConfigError where none says it, or they differ."""
    with connect(dsn, "reader", "settlement decimals") as connection:
        found = [int(row["decimals"]) for row in ask(connection, "settlement_decimals", {"asset": asset})]
    if len(found) != 1:
        what = "instruments differ on" if found else "no instrument says"
        msg = f"{what} how many decimals {asset} has; write the amount in smallest units, with --smallest"
        raise ConfigError(msg)
    return found[0]


def whole_number(text: str) -> int:
    """Return an amount that a person typed in smallest units; ConfigError when it is no whole number."""
    if not fullmatch(r"-?[0-9]{1,38}", text):
        msg = f"the amount {text!r} is no whole number of smallest units"
        raise ConfigError(msg)
    return int(text)
