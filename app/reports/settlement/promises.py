"""Checks what the settlement promises against what is left, independently of the flow that kept it.

    S1 zero-sum   of each asset customers have, less what they owe, what is held for them, less our fees; each flow as it was told
    S2 in turn    every trade that was told is settled, refused, or waits for one before it, and none is settled twice
    S3 covered    no balance is negative; what an order holds can pay what is left of it, and one that has ended holds nothing
    S4 answered   every word has its result, one and the same each time it is said, and the books are as the results say

Words are read again from their topics, and followed by their numbers and hashes; balances, orders and trades are asked of the
ledger by SQL. It is judged only where the flow of the settlement has run.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

from app.places.places import Places
from app.reports.said import said
from connectors.kafka.peek import Peek
from domain.messages.settlement import MatchedTrade, OrderLock, SettlementResult
from domain.postings.settlement import KINDS, posting_id
from domain.settlement.answers import Key, Word, key_of
from domain.settlement.desk import UNCHAINED
from domain.settlement.links import GENESIS, hash_of
from domain.settlement.trade import Refusal, cost_of
from domain.templates.settlement import trade_id
from domain.topics import (
    ORDERS_LOCKS,
    SETTLEMENT_CORRECTIONS,
    SETTLEMENT_FLOWS,
    SETTLEMENT_INSTRUMENTS,
    SETTLEMENT_REPLAYS,
    SETTLEMENT_RESULTS,
    TRADES_MATCHED,
)
from sinks.postgres import Connection, connect
from sinks.settlement import digest_of

EXAMPLES_MAX = 5

HAS_RUN = "SELECT EXISTS (SELECT FROM treasury.gauge WHERE step = 'book_settlement')"
NOT_ZERO = """
SELECT asset, customers - debts + revenue, custody + corrections FROM settlement.v_zero_sum
WHERE customers - debts + revenue <> custody + corrections OR residual <> 0 ORDER BY asset
"""
FLOWS_BOOKED = """
SELECT t.template, t.meta ->> 'name', e.currency, sum(e.amount)
FROM ledger.tx t JOIN ledger.entry e USING (tx_id)
WHERE t.template = ANY (%s) AND e.side = 1
GROUP BY t.template, t.tx_id, t.meta ->> 'name', e.currency
"""
NEGATIVE = """
SELECT customer, asset, available, locked, debt FROM settlement.v_balances
WHERE least(available, locked, debt) < 0 ORDER BY customer, asset
"""
HELD = """
SELECT
    CASE
        WHEN t.template <> 'TRADE_SETTLED' THEN t.meta ->> 'name'
        WHEN a.code = 'CUSTOMER_LOCKED/' || (t.meta ->> 'buyer') THEN t.meta ->> 'buy_order'
        ELSE t.meta ->> 'sell_order'
    END AS order_id,
    -sum(e.side * e.amount), bool_or(t.template = 'ORDER_UNLOCKED')
FROM ledger.tx t JOIN ledger.entry e USING (tx_id) JOIN ledger.account a USING (account_id)
WHERE t.template IN ('ORDER_LOCKED', 'ORDER_UNLOCKED', 'TRADE_SETTLED') AND a.code LIKE 'CUSTOMER\\_LOCKED/%'
GROUP BY order_id ORDER BY order_id
"""
SETTLED = "SELECT meta ->> 'trade', meta ->> 'hash', count(*) FROM ledger.tx WHERE template = 'TRADE_SETTLED' GROUP BY 1, 2"
REFUSED = "SELECT word_id, digest, reason FROM settlement.refusal WHERE kind = 'trade'"
BOOKED = "SELECT tx_id::TEXT FROM ledger.tx WHERE template = ANY (%s)"

FLOWS = ("deposit", "withdrawal", "debit", "transfer")


class Evidence(NamedTuple):
    """Where to look."""

    connection: Connection
    peek: Peek


def check_settlement(places: Places) -> dict[str, list[str]]:
    """Breaches by promise, a few sentences each; an empty list is a pass. Nothing at all where no settlement has run."""
    with ExitStack() as stack:
        peek = stack.enter_context(closing(Peek(places.kafka)))
        connection = stack.enter_context(connect(places.dsn, "reader", "settlement promises"))
        (has_run,) = connection.execute(HAS_RUN).fetchone() or (False,)
        evidence = Evidence(connection, peek)
        return {name: list(check(evidence))[:EXAMPLES_MAX] for name, check in CHECKS.items()} if has_run else {}


def zero_sum(evidence: Evidence) -> Iterator[str]:
    """S1."""
    for asset, owed, held in evidence.connection.execute(NOT_ZERO):
        yield f"of {asset} customers and fees have {owed}, and {held} is held for them"
    templates = {KINDS[kind]: kind for kind in FLOWS}
    rows = evidence.connection.execute(FLOWS_BOOKED, [list(templates)])
    booked = {(templates[template], name): (asset, int(amount)) for template, name, asset, amount in rows}
    told: dict[Key, list[tuple[str, int]]] = defaultdict(list)
    for flow in said(evidence.peek, SETTLEMENT_FLOWS):
        told[flow.kind, flow.id].append((flow.asset, flow.amount))
    for key, amounts in told.items():
        if key in booked and booked[key] not in amounts:
            yield f"the {key[0]} {key[1]} is told as {amounts[0]}, and booked as {booked[key]}"


class Chained(NamedTuple):
    """The trades that were told, each once: those whose turn it was, those that wait, and the rest, which is to be refused."""

    in_turn: Sequence[MatchedTrade]
    waiting: Sequence[MatchedTrade]
    strays: Sequence[MatchedTrade]


def chained(trades: Iterable[MatchedTrade], stops: Callable[[MatchedTrade], bool] = lambda _: False) -> Chained:
    """Follow the trades of each symbol by their numbers and hashes; a chain goes no further than before one at which it stops."""
    by_symbol: dict[str, list[MatchedTrade]] = defaultdict(list)
    for trade in dict.fromkeys(trades):
        by_symbol[trade.symbol].append(trade)
    chains = [_chain(told, stops) for told in by_symbol.values()]
    return Chained(*([trade for chain in chains for trade in chain[part]] for part in range(3)))


def _chain(told: Sequence[MatchedTrade], stops: Callable[[MatchedTrade], bool]) -> Chained:
    sound = [trade for trade in told if hash_of(trade) == trade.hash]
    following: dict[tuple[int, str], MatchedTrade] = {}
    for trade in sound:
        following.setdefault((trade.sequence, trade.previous_hash), trade)
    in_turn: list[MatchedTrade] = []
    last = GENESIS
    while (following_it := following.get((len(in_turn) + 1, last))) is not None and not stops(following_it):
        in_turn.append(following_it)
        last = following_it.hash
    waiting = [trade for trade in sound if trade.sequence > len(in_turn)]
    placed = {*in_turn, *waiting}
    return Chained(in_turn, waiting, [trade for trade in told if trade not in placed])


class Fates(NamedTuple):
    """What the ledger has of trades by id and hash, how often, and why trades were refused, by id and digest."""

    settled: Mapping[tuple[str, str], int]
    refused: Mapping[tuple[str, bytes], str]

    def is_settled(self, trade: MatchedTrade) -> bool:
        """Return whether exactly this trade is in the books."""
        return (trade.trade_id, trade.hash) in self.settled and hash_of(trade) == trade.hash

    def refusal(self, trade: MatchedTrade) -> str | None:
        """Return why exactly this trade was refused."""
        return self.refused.get((trade.trade_id, digest_of(trade)))

    def stops(self, trade: MatchedTrade) -> bool:
        """Return whether a trade was refused so that its number is still waited for."""
        return self.refusal(trade) in UNCHAINED and not self.is_settled(trade)


def _fates(evidence: Evidence) -> Fates:
    settled = {(name, hash_): n for name, hash_, n in evidence.connection.execute(SETTLED)}
    refused = {(name, digest): reason for name, digest, reason in evidence.connection.execute(REFUSED)}
    return Fates(settled, refused)


def in_turn(evidence: Evidence) -> Iterator[str]:
    """S2."""
    fates = _fates(evidence)
    found = chained(said(evidence.peek, TRADES_MATCHED), fates.stops)
    for trade in found.in_turn:
        if not fates.is_settled(trade) and fates.refusal(trade) is None:
            yield f"{_named(trade)} is neither settled nor refused, and waits for nothing"
    for trade in (*found.waiting, *found.strays):
        if fates.is_settled(trade):
            yield f"{_named(trade)} is settled, and it was not its turn"
    for trade in found.strays:
        if fates.refusal(trade) is None:
            yield f"{_named(trade)} does not belong to its chain, and is not refused"
    for (name, _), n in fates.settled.items():
        if n > 1:
            yield f"the trade {name} is settled {n} times"


def _named(trade: MatchedTrade) -> str:
    return f"trade {trade.sequence} of {trade.symbol} ({trade.trade_id})"


def covered(evidence: Evidence) -> Iterator[str]:
    """S3."""
    for customer, asset, available, locked, debt in evidence.connection.execute(NEGATIVE):
        yield f"{customer} has {available} of {asset}, {locked} locked, and owes {debt}"
    open_orders = _left(evidence)
    for order_id, amount, has_ended in evidence.connection.execute(HELD):
        held = int(amount)
        if held < 0:
            yield f"more was taken from order {order_id} than it has locked, by {-held}"
        elif has_ended and held:
            yield f"order {order_id} has ended, and {held} is still locked for it"
        elif not has_ended and (left := open_orders.pop(order_id, None)) is not None:
            yield from _unfit(order_id, held, left)


class Left(NamedTuple):
    """An order as it was told, how much of it is not settled yet, and what that costs at its limit, in what it locks."""

    word: OrderLock
    quantity: int
    cost: int


def _left(evidence: Evidence) -> dict[str, Left]:
    """Return what is left of the orders that were told, by the trades that are settled."""
    pairs = {one.symbol: (one.base_decimals, one.quote_decimals) for one in said(evidence.peek, SETTLEMENT_INSTRUMENTS)}
    booked, settled = _booked(evidence), Counter[str]()
    for trade in dict.fromkeys(said(evidence.peek, TRADES_MATCHED)):
        if trade_id(trade.trade_id) in booked and hash_of(trade) == trade.hash:
            settled.update({trade.buy_order_id: trade.quantity, trade.sell_order_id: trade.quantity})
    found: dict[str, Left] = {}
    for word in said(evidence.peek, ORDERS_LOCKS):
        if word.command == "lock" and word.symbol in pairs and posting_id(word) in booked:
            left = (word.quantity or 0) - settled[word.order_id]
            found.setdefault(word.order_id, Left(word, left, _cost(word, left, pairs[word.symbol])))
    return found


def _cost(word: OrderLock, quantity: int, decimals: tuple[int, int]) -> int:
    if word.side == "sell" or word.limit is None:
        return quantity
    cost = cost_of(word.limit, quantity, *decimals) if quantity > 0 else 0
    return 0 if isinstance(cost, Refusal) else cost


def _unfit(order_id: str, held: int, left: Left) -> Iterator[str]:
    if left.quantity < 0:
        yield f"order {order_id} is settled by {-left.quantity} more than it is for"
    elif left.quantity == 0 and held:
        yield f"order {order_id} is filled, and {held} is still locked for it"
    elif held < left.cost or (left.word.side == "sell" and held > left.cost):
        yield f"order {order_id} has {held} locked, and what is left of it costs {left.cost}"


def _booked(evidence: Evidence) -> set[str]:
    """Return the ids of all that the settlement has posted."""
    return {id_ for (id_,) in evidence.connection.execute(BOOKED, [list(KINDS.values())])}


def answered(evidence: Evidence) -> Iterator[str]:
    """S4."""
    told, postings = _told(evidence), dict[Key, str]()
    for word in told:
        postings.setdefault(key_of(word), posting_id(word))
    times, results, booked = Counter(map(key_of, told)), _results(evidence), _booked(evidence)
    for key in results.keys() - times.keys():
        yield f"something became of the {_words(key)}, of which nobody told"
    silent = {key_of(trade) for trade in chained(said(evidence.peek, TRADES_MATCHED), _fates(evidence).stops).waiting}
    for key, n in times.items():
        outcomes = results.get(key, set())
        if not outcomes and key not in silent and key[0] != "correction":
            yield f"nothing was said of the {_words(key)}"
        if len(outcomes) > n:
            yield f"of the {_words(key)} {len(outcomes)} different things were said: {sorted(map(str, outcomes))}"
        if (is_booked := any(outcome == "booked" for outcome, _ in outcomes)) != (postings[key] in booked):
            yield f"the {_words(key)} is {'' if is_booked else 'not '}said to be booked, and the books say otherwise"


def _told(evidence: Evidence) -> list[Word]:
    """Return all words that were told. A trade that comes again is the same word; of anything else each time is one."""
    peek = evidence.peek
    asked: list[Word] = [*said(peek, SETTLEMENT_FLOWS), *said(peek, ORDERS_LOCKS)]
    by_hand: list[Word] = [*said(peek, SETTLEMENT_CORRECTIONS), *said(peek, SETTLEMENT_REPLAYS)]
    return [*dict.fromkeys(said(peek, TRADES_MATCHED)), *asked, *by_hand]


def _results(evidence: Evidence) -> dict[Key, set[tuple[str, str | None]]]:
    """Return the different things that were said of each word; a replay is a word on its trade."""
    found: dict[Key, set[tuple[str, str | None]]] = defaultdict(set)
    for result in said(evidence.peek, SETTLEMENT_RESULTS):
        found[_key(result)].add((result.outcome, result.reason))
    return found


def _key(result: SettlementResult) -> Key:
    return ("trade" if result.kind == "replay" else result.kind), result.id


def _words(key: Key) -> str:
    return " ".join(key)


CHECKS: Mapping[str, Callable[[Evidence], Iterable[str]]] = {
    "S1": zero_sum,
    "S2": in_turn,
    "S3": covered,
    "S4": answered,
}
