"""The settlement desk: who may trade what, the chain of each symbol, the open orders, and what follows from each word.

    instruments, fees, terms ---> what holds
    orders.locks ------- lock ---> what may be used is locked, or the order is refused
                         unlock -> what is left of it is unlocked
    trades.matched ----> chain of its symbol ---> settles, or is refused by name
    customers' money --> deposits pay debts first; what is taken by force becomes a debt where it is not there

Every word comes to one posting, which the books accept, or to a refusal, which is recorded before anything later is booked. So
what was decided is known for every word, and stands: one that is read again, or told again, is taken as it was answered. What
customers have is asked of the books when one is met for the first time, and kept from then on; it is no part of the state that
is saved (docs/adr/0036).

A trade that cannot settle is refused, and the next one of its symbol goes on; once what was wrong is mended, a person may have
it settled after all. A number that is missing, or a broken link, holds back its symbol alone. What a customer has is corrected
when one person has asked for it and another one approves.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Self

from domain.messages.gov import Vote
from domain.messages.settlement import (
    CustomerCorrection,
    CustomerFlow,
    CustomerTerms,
    FeeSchedule,
    Instrument,
    MatchedTrade,
    OrderLock,
    TradeReplay,
)
from domain.settlement.answers import Answer, Answers, Booked, Books, Heard, Word
from domain.settlement.fees import LEVELS, Rates, fee_of, rates_of
from domain.settlement.holdings import Holding, locked, may_take_out, paid_in, taken_by_force
from domain.settlement.links import GENESIS, hash_of
from domain.settlement.locks import Order, locked_by
from domain.settlement.orders import Open, OpenOrders
from domain.settlement.sequence import Broken, Chain, Duplicate, Link, Missing, Released, Step
from domain.settlement.trade import Matched, Moves, Refusal, cost_of, moves_of
from domain.streams.records import Record, Snapshot


class LockAsked(NamedTuple):
    """An order locks an amount, or unlocks what is left of it; `refusal` says why not."""

    word: OrderLock
    asset: str
    amount: int
    refusal: Refusal | None
    heard: Heard


class MoneyAsked(NamedTuple):
    """Money of a customer moves; `part` of it pays a debt, or becomes one. `refusal` says why not."""

    word: CustomerFlow | CustomerCorrection
    part: int
    refusal: Refusal | None
    heard: Heard


class TradeAsked(NamedTuple):
    """A trade settles: what it costs, who pays which fee, and what it moves."""

    word: MatchedTrade
    base: str
    quote: str
    cost: int
    buyer_fee: int
    seller_fee: int
    moves: Moves
    heard: Heard


class Refused(NamedTuple):
    """A word that leads to no posting: nothing but the desk's own state speaks against it."""

    word: Word
    refusal: Refusal
    heard: Heard


class Trouble(NamedTuple):
    """Something about a symbol that a person should look at: a trade is missing, or a link is broken."""

    symbol: str
    sequence: int
    what: str


Effect = LockAsked | MoneyAsked | TradeAsked | Refused | Trouble


class Turn(NamedTuple):
    """A trade with its coordinates."""

    trade: MatchedTrade
    heard: Heard


NOTHING = Holding()
UNCHAINED = {"wrong_hash", "broken_link", "sequence_taken"}
"""A trade that is refused for one of these never had its turn, and cannot be settled after all."""


class SettlementDesk:
    """Takes every word of the settlement, one instant after the other."""

    version = 2

    def __init__(self, books: Books) -> None:
        self._books, self._answers = books, Answers(books)
        self._instruments: dict[str, Instrument] = {}
        self._fees: dict[str, tuple[Rates, ...]] = {"standard": LEVELS}
        self._terms: dict[str, CustomerTerms] = {}
        self._orders = OpenOrders()
        self._chains: dict[str, Chain[Turn]] = {}
        self._corrections: dict[str, CustomerCorrection] = {}
        self._holdings: dict[str, dict[str, Holding]] = {}
        self._hearers: Mapping[type, Callable[[Any, Heard], Iterable[Effect]]] = {
            Instrument: self._instrument,
            FeeSchedule: self._fee_schedule,
            CustomerTerms: self._customer_terms,
            OrderLock: self._order,
            MatchedTrade: self._matched,
            TradeReplay: self._replay,
            CustomerFlow: self._money,
            CustomerCorrection: self._correction,
            Vote: self._voted,
        }

    def expect(self, records: Sequence[Record[Any]]) -> None:
        """Look up at once what the words of a run will need."""
        self._books.meet([record.value for record in records if isinstance(record.value, Word)])

    def apply(self, _at_ms: int, records: Sequence[Record[Any]]) -> list[Effect]:
        """Take all words of an instant, in order."""
        effects: list[Effect] = []
        for _, source, offset, word in records:
            effects += self._hearers[type(word)](word, Heard(source, offset))
        return effects

    def snapshot(self) -> Snapshot:
        """Return what holds, the open orders and the chains; what customers have is asked for again."""
        terms = tuple(self._instruments.values()), tuple(self._fees.items()), tuple(self._terms.values())
        chains = tuple((symbol, chain.snapshot()) for symbol, chain in self._chains.items())
        return *terms, tuple(self._orders), chains, tuple(self._corrections.values())

    @classmethod
    def restore(cls, snapshot: Snapshot, books: Books) -> Self:
        """Return the desk that `snapshot` was taken of, over the books as they are now."""
        instruments, fees, terms, orders, chains, corrections = snapshot
        desk = cls(books)
        desk._instruments = {one.symbol: one for one in instruments}
        desk._fees, desk._terms = dict(fees), {one.customer: one for one in terms}
        for order_id, order in orders:
            desk._orders.put(order_id, order)
        desk._chains = {symbol: Chain.restore(chain) for symbol, chain in chains}
        desk._corrections = {one.id: one for one in corrections}
        return desk

    def wake_at_ms(self) -> int | None:
        """Nothing happens by time alone."""
        return None

    def wake(self, _at_ms: int) -> list[Effect]:
        """Nothing is due."""
        return []

    def gauges(self) -> dict[str, int]:
        """How many orders are open, and how many trades wait for one that is missing or broken."""
        return {"open_orders": len(self._orders), "trades_waiting": sum(len(chain.kept) for chain in self._chains.values())}

    # What customers have

    def _of(self, customer: str) -> dict[str, Holding]:
        found = self._holdings.get(customer)
        if found is None:
            found = self._holdings[customer] = dict(self._books.holdings(customer))
        return found

    def _change(self, customer: str, asset: str, change: Callable[[Holding], Holding | None]) -> bool:
        """Change what a customer has of an asset; False where it is not enough."""
        holdings = self._of(customer)
        changed = change(holdings.get(asset, NOTHING))
        if changed is not None:
            holdings[asset] = changed
        return changed is not None

    def _locked(self, customer: str, asset: str, amount: int) -> Refusal | None:
        """Lock so much of what a customer may use, or say why not; a negative amount is unlocked."""
        if self._change(customer, asset, lambda has: locked(has, amount)):
            return None
        return self._lacking(customer, asset, amount)

    def _lacking(self, customer: str, asset: str, amount: int) -> Refusal:
        """Return why a customer cannot pay an amount: is nobody, has none of that asset, or not enough."""
        holdings = self._of(customer)
        if not holdings:
            return Refusal("unknown_customer", amount)
        if asset not in holdings:
            return Refusal("unknown_asset", amount)
        return Refusal("insufficient", amount - holdings[asset].available)

    def _decided(self, word: Word, heard: Heard, decide: Callable[[], Answer]) -> Answer:
        """Return what was decided on a word before, when its money has moved already, or decide."""
        answer = self._answers.find(word, heard) or decide()
        if answer.refusal is None:
            self._answers.book(word, Booked(heard, answer.part, word.hash if isinstance(word, MatchedTrade) else None))
        else:
            self._answers.refuse(word, heard, answer.refusal)
        return answer

    def _refused(self, word: Word, refusal: Refusal, heard: Heard) -> Refused:
        self._answers.refuse(word, heard, refusal)
        return Refused(word, refusal, heard)

    # Terms

    def _instrument(self, word: Instrument, _heard: Heard) -> Iterable[Effect]:
        """Take the newest word on an instrument; what it is made of stays as it was told first, since orders rest on it."""
        known = self._instruments.get(word.symbol, word)
        if _made_of(known) != _made_of(word):
            return (Trouble(word.symbol, 0, "pair_changed"),)
        self._instruments[word.symbol] = word
        return ()

    def _fee_schedule(self, word: FeeSchedule, _heard: Heard) -> Iterable[Effect]:
        self._fees[word.fees] = tuple(Rates(*level) for level in word.levels)
        return ()

    def _customer_terms(self, word: CustomerTerms, _heard: Heard) -> Iterable[Effect]:
        self._terms[word.customer] = word
        return ()

    # Orders

    def _order(self, word: OrderLock, heard: Heard) -> Iterable[Effect]:
        return (self._lock(word, heard) if word.command == "lock" else self._unlock(word, heard),)

    def _lock(self, word: OrderLock, heard: Heard) -> Effect:
        instrument = self._instruments.get(word.symbol)
        barred = self._barred(instrument, word.customer) or ("known_order" if self._orders.get(word.order_id) else None)
        if barred or instrument is None:
            return self._refused(word, Refusal(barred or "unknown_symbol"), heard)
        order, rates = _order_of(word, instrument), self._rates(instrument, word.customer)
        amount = _off_step(instrument, order.limit, order.quantity) or locked_by(order, rates)
        if isinstance(amount, Refusal):
            return self._refused(word, amount, heard)
        asset = _paid_in(instrument, order)
        refusal, _ = self._decided(word, heard, lambda: Answer(self._locked(word.customer, asset, amount)))
        if refusal is None:
            self._orders.put(word.order_id, Open(word.customer, word.symbol, order, rates, order.quantity, amount))
        return LockAsked(word, asset, amount, refusal, heard)

    def _unlock(self, word: OrderLock, heard: Heard) -> Effect:
        order = self._orders.get(word.order_id)
        if order is None or (order.customer, order.symbol) != (word.customer, word.symbol):
            return self._refused(word, Refusal("unknown_order"), heard)
        self._orders.end(word.order_id)
        asset = _paid_in(self._instruments[order.symbol], order.order)
        refusal, _ = self._decided(word, heard, lambda: Answer(self._locked(word.customer, asset, -order.locked)))
        return LockAsked(word, asset, order.locked, refusal, heard)

    def _barred(self, instrument: Instrument | None, customer: str) -> str | None:
        """Return why a customer may not trade an instrument now."""
        if instrument is None:
            return "unknown_symbol"
        if instrument.status != "open":
            return f"symbol_{instrument.status}"
        if instrument.fees not in self._fees:
            return "unknown_fees"
        if self._is_frozen(customer):
            return "customer_frozen"
        return "level_too_low" if self._level(customer) < instrument.level_min else None

    def _is_frozen(self, customer: str) -> bool:
        terms = self._terms.get(customer)
        return terms is not None and terms.status == "frozen"

    def _level(self, customer: str) -> int:
        terms = self._terms.get(customer)
        return terms.level if terms else 0

    def _rates(self, instrument: Instrument, customer: str) -> Rates:
        return rates_of(self._level(customer), self._fees[instrument.fees])

    # Trades

    def _matched(self, trade: MatchedTrade, heard: Heard) -> Iterable[Effect]:
        if hash_of(trade) != trade.hash:
            return (self._refused(trade, Refusal("wrong_hash"), heard),)
        chain = self._chains.get(trade.symbol)
        if chain is None:
            chain = self._chains[trade.symbol] = Chain(last_hash=GENESIS)
        steps = chain.take(Link(trade.sequence, trade.previous_hash, trade.hash, Turn(trade, heard)))
        return [effect for step in steps for effect in self._stepped(trade.symbol, step)]

    def _stepped(self, symbol: str, step: Step[Turn]) -> Iterable[Effect]:
        match step:
            case Released():
                return (self._settle(step.link.trade.trade, *step.link.trade),)
            case Duplicate():
                return self._repeated(step)
            case Missing():
                return (Trouble(symbol, step.sequence, "trade_missing"),)
            case Broken():
                refused = self._refused(step.link.trade.trade, Refusal("broken_link"), step.link.trade.heard)
                return refused, Trouble(symbol, step.link.sequence, "link_broken")

    def _repeated(self, step: Duplicate[Turn]) -> Iterable[Effect]:
        """Pass over a trade that comes again; another one under its number is refused."""
        trade, heard = step.link.trade
        is_same = self._is_known(trade) if step.is_same is None else step.is_same
        return () if is_same else (self._refused(trade, Refusal("sequence_taken"), heard),)

    def _is_known(self, trade: MatchedTrade) -> bool:
        """Return whether exactly this trade was settled, or refused."""
        booked = self._answers.booked(trade)
        return (booked is not None and booked.hash == trade.hash) or self._answers.refused(trade) is not None

    def _replay(self, word: TradeReplay, heard: Heard) -> Iterable[Effect]:
        refusal = self._answers.refused(word.trade)
        if refusal is None or refusal.reason in UNCHAINED or hash_of(word.trade) != word.trade.hash:
            return (self._refused(word, Refusal("never_in_turn"), heard),)
        return (self._settle(word, word.trade, heard),)

    def _settle(self, word: MatchedTrade | TradeReplay, trade: MatchedTrade, heard: Heard) -> Effect:
        instrument = self._instruments.get(trade.symbol)
        buys, sells = self._orders.get(trade.buy_order_id), self._orders.get(trade.sell_order_id)
        unfit = self._unfit(trade, instrument, buys, sells)
        if unfit or instrument is None or buys is None or sells is None:
            return self._refused(word, Refusal(unfit or "unknown_order"), heard)
        taken = buys.part(trade.quantity)
        asked = _asked(trade, instrument, (buys.rates, sells.rates), taken, heard)
        if isinstance(asked, Refusal):
            return self._refused(word, asked, heard)
        refusal, _ = self._decided(word, heard, lambda: self._move(asked))
        if refusal is not None:
            return Refused(word, refusal, heard)
        self._orders.put(trade.buy_order_id, buys.less(trade.quantity, taken))
        self._orders.put(trade.sell_order_id, sells.less(trade.quantity, trade.quantity))
        return asked

    def _move(self, asked: TradeAsked) -> Answer:
        """Move all sides of a trade; both orders hold what it takes, so each has enough."""
        moves, base, quote = asked.moves, asked.base, asked.quote
        buyer, seller = self._of(asked.word.buyer), self._of(asked.word.seller)
        has = buyer[quote]
        buyer[quote] = Holding(has.available + moves.refund, has.locked - moves.locked, has.debt)
        buyer[base] = buyer.get(base, NOTHING).more(moves.quantity)
        has = seller[base]
        seller[base] = Holding(has.available, has.locked - moves.quantity, has.debt)
        seller[quote] = seller.get(quote, NOTHING).more(moves.proceeds)
        return Answer()

    def _unfit(
        self, trade: MatchedTrade, instrument: Instrument | None, buys: Open | None, sells: Open | None
    ) -> str | None:
        """Return why a trade does not fit its orders, or may not be settled now."""
        return (
            self._barred(instrument, trade.buyer)
            or self._barred(instrument, trade.seller)
            or _unfit_for(buys, trade, is_buyer=True)
            or _unfit_for(sells, trade, is_buyer=False)
        )

    # Money

    def _money(self, word: CustomerFlow, heard: Heard) -> Iterable[Effect]:
        refusal, part = self._decided(word, heard, lambda: self._moved(word))
        return (MoneyAsked(word, part, refusal, heard),)

    def _moved(self, word: CustomerFlow) -> Answer:
        holdings = self._of(word.customer)
        has = holdings.get(word.asset, NOTHING)
        if word.kind == "deposit":
            holdings[word.asset], repaid = paid_in(has, word.amount)
            return Answer(part=repaid)
        if word.kind == "debit":
            holdings[word.asset], owed = taken_by_force(has, word.amount)
            return Answer(part=owed)
        if self._is_frozen(word.customer):
            return Answer(Refusal("customer_frozen"))
        if not may_take_out(holdings.values()):
            return Answer(Refusal("debt_open"))
        if has.available < word.amount:
            return Answer(self._lacking(word.customer, word.asset, word.amount))
        holdings[word.asset] = has.more(-word.amount)
        if word.to is not None:
            self._change(word.to, word.asset, lambda to: to.more(word.amount))
        return Answer()

    # Corrections

    def _correction(self, word: CustomerCorrection, heard: Heard) -> Iterator[Effect]:
        """Keep what a person asks for until another one votes; what was asked for first under a name stands."""
        if self._corrections.setdefault(word.id, word) != word:
            yield self._refused(word, Refusal("asked_before"), heard)

    def _voted(self, vote: Vote, heard: Heard) -> Iterator[Effect]:
        word = self._corrections.get(vote.subject)
        if word is None or vote.by == word.by:
            return
        del self._corrections[vote.subject]
        if vote.vote == "deny":
            yield self._refused(word, Refusal("denied"), heard)
        else:
            refusal, part = self._decided(word, heard, lambda: self._corrected(word))
            yield MoneyAsked(word, part, refusal, heard)

    def _corrected(self, word: CustomerCorrection) -> Answer:
        holdings = self._of(word.customer)
        change, amount = (paid_in, word.amount) if word.amount > 0 else (taken_by_force, -word.amount)
        holdings[word.asset], part = change(holdings.get(word.asset, NOTHING), amount)
        return Answer(part=part)


def _unfit_for(order: Open | None, trade: MatchedTrade, *, is_buyer: bool) -> str | None:
    """Return why a trade does not fit one of its orders."""
    customer, side = (trade.buyer, "buy") if is_buyer else (trade.seller, "sell")
    if order is None or order.customer != customer or order.symbol != trade.symbol or order.order.side != side:
        return "unknown_order"
    if not order.crosses(trade.price):
        return "beyond_limit"
    return "beyond_order" if order.quantity < trade.quantity else None


def _asked(
    trade: MatchedTrade, instrument: Instrument, rates: tuple[Rates, Rates], taken: int, heard: Heard
) -> TradeAsked | Refusal:
    """Return what a trade that fits its orders asks of the books, or why it cannot settle; `taken` is of the buyer's lock."""
    cost = _off_step(instrument, trade.price, trade.quantity) or cost_of(
        trade.price, trade.quantity, instrument.base_decimals, instrument.quote_decimals
    )
    if isinstance(cost, Refusal):
        return cost
    buyer_fee, seller_fee = _fees_of(trade, *rates, cost)
    moves = moves_of(_of(trade, taken, buyer_fee, seller_fee), cost)
    if isinstance(moves, Refusal):
        return moves
    return TradeAsked(trade, instrument.base, instrument.quote, cost, buyer_fee, seller_fee, moves, heard)


def _order_of(word: OrderLock, instrument: Instrument) -> Order:
    if word.side is None or word.limit is None or word.quantity is None:
        msg = f"a lock says side, limit and quantity, and {word.order_id} does not"
        raise ValueError(msg)
    return Order(word.side, word.limit, word.quantity, instrument.base_decimals, instrument.quote_decimals)


def _paid_in(instrument: Instrument, order: Order) -> str:
    """Return the asset that an order locks."""
    return instrument.quote if order.side == "buy" else instrument.base


def _fees_of(trade: MatchedTrade, buyer: Rates, seller: Rates, cost: int) -> tuple[int, int]:
    """Return what the buyer and the seller pay at the rates of their orders: who rested less."""
    if trade.maker == "buyer":
        return fee_of(cost, buyer.maker_ppm), fee_of(cost, seller.taker_ppm)
    return fee_of(cost, buyer.taker_ppm), fee_of(cost, seller.maker_ppm)


def _off_step(instrument: Instrument, price: Decimal, quantity: int) -> Refusal | None:
    """Return why a price or a quantity is none of those that an instrument has."""
    if price % instrument.tick:
        return Refusal("off_tick")
    return Refusal("off_lot") if quantity % instrument.lot else None


def _of(trade: MatchedTrade, taken: int, buyer_fee: int, seller_fee: int) -> Matched:
    return Matched(trade.buyer, trade.seller, trade.price, trade.quantity, taken, buyer_fee, seller_fee)


def _made_of(instrument: Instrument) -> tuple[str, int, str, int]:
    return instrument.base, instrument.base_decimals, instrument.quote, instrument.quote_decimals
