"""A settlement that is played: customers who pay in, order, cancel and are debited by chance, an exchange that matches, a desk
that decides, and books in memory."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random  # noqa: TID251 - seeded
from typing import Any

from domain.ledger.accounts import Account
from domain.ledger.journal import CREDIT, DEBIT, Outcome, Verdict
from domain.ledger.memory import MemoryLedger
from domain.messages.settlement import CustomerFlow, Instrument, MatchedTrade, OrderLock
from domain.postings.settlement import post_settlement
from domain.settlement.answers import Booked, Heard, Word, key_of, stands
from domain.settlement.desk import Effect, MoneyAsked, SettlementDesk, Trouble
from domain.settlement.holdings import Holding
from domain.settlement.trade import Refusal
from domain.simulated.matching import Cancelled, Matching
from domain.streams.records import Record, Snapshot
from domain.templates import settlement as templates
from domain.templates.settlement import available_of, debt_of, locked_of
from tests.words import START_MS

CUSTOMERS = tuple(f"u{n}" for n in range(6))
AT_MS = START_MS
BTC_USDT = Instrument.model_validate_json(Instrument.examples[0]).model_copy(
    update={"lot": 1, "tick": Decimal(1), "as_of": AT_MS}
)
ETH_USDT = Instrument.model_validate_json(Instrument.examples[1]).model_copy(
    update={"lot": 10**12, "tick": Decimal(1), "as_of": AT_MS}
)
UNITS = {"BTC": 10**8, "ETH": 10**18, "USDT": 10**6}


def open_books() -> MemoryLedger:
    """Books with accounts of all customers, in which nothing falls below zero."""
    own = [(code(user), side) for user in CUSTOMERS for code, side in OWN]
    fixed = [Account(999, templates.CUSTODY, DEBIT, "Settlement"), Account(998, templates.REVENUE, CREDIT, "Settlement")]
    fixed.append(Account(997, templates.CORRECTIONS, DEBIT, "Settlement"))
    return MemoryLedger(
        [Account(1000 + n, code, side, "Settlement", min_available=0) for n, (code, side) in enumerate(own)] + fixed
    )


OWN = ((available_of, CREDIT), (locked_of, CREDIT), (debt_of, DEBIT))


class Kept:
    """What was decided so far, as books and records keep it."""

    def __init__(self) -> None:
        self.booked: dict[Any, Booked] = {}
        self.refused: list[tuple[Word, Heard, Refusal]] = []


class Books:
    """What books in memory know when a run begins, and what was decided on each word until then."""

    def __init__(self, ledger: MemoryLedger, kept: Kept) -> None:
        self._balances = {(one.account, one.currency): one.settled for one in ledger.balances()}
        self._booked, self._refused = dict(kept.booked), list(kept.refused)

    def meet(self, words: Sequence[Word]) -> None:
        """Everything is known already."""

    def holdings(self, customer: str) -> Mapping[str, Holding]:
        """What a customer has of each asset."""
        codes = [code(customer) for code, _ in OWN]
        assets = {asset for code, asset in self._balances if code in codes}
        return {asset: Holding(*[abs(self._balances.get((code, asset), 0)) for code in codes]) for asset in assets}

    def booked(self, word: Word) -> Booked | None:
        """What is booked under the name of a word."""
        return self._booked.get(key_of(word))

    def refused(self, word: Word, heard: Heard | None = None) -> Refusal | None:
        """Why this word was refused."""
        return next((why for told, place, why in self._refused if told == word and stands(place, heard)), None)


class Played:
    """Everything joined: a word goes to the desk, what is refused to the records, what follows to the books."""

    def __init__(self) -> None:
        self.ledger = open_books()
        self.kept = Kept()
        self.desk = SettlementDesk(Books(self.ledger, self.kept))
        self.effects: list[Effect] = []
        self.verdicts: list[tuple[Effect, Verdict]] = []

    def tell(self, *words: Any, first: int = 0, lost: int = 0) -> list[Effect]:
        """Tell words one after the other, the first under this offset; what follows from them. Of the last ones that are
        `lost`, nothing is kept."""
        found: list[Effect] = []
        for offset, word in enumerate(words, first):
            record = Record(AT_MS + offset, "test/0", offset, word)
            effects = self.desk.apply(record.at_ms, [record])
            found += effects
            if offset < first + len(words) - lost:
                self._keep(effects)
        return found

    def _keep(self, effects: list[Effect]) -> None:
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Trouble):
                continue
            refusal = getattr(effect, "refusal", None)
            if refusal is not None and (put := (effect.word, effect.heard, refusal)) not in self.kept.refused:
                self.kept.refused.append(put)
            posting = post_settlement(Record(AT_MS, "settle/settle-00", len(self.effects), effect))
            if posting is not None:
                part = effect.part if isinstance(effect, MoneyAsked) else 0
                booked = Booked(effect.heard, part, getattr(effect.word, "hash", None))
                self.kept.booked.setdefault(key_of(effect.word), booked)
                (verdict,) = self.ledger.post([posting]).verdicts
                self.verdicts.append((effect, verdict))

    def restart(self, snapshot: Snapshot) -> None:
        """Begin again from a state of the desk that was saved, over the books as they are now."""
        self.desk = SettlementDesk.restore(snapshot, Books(self.ledger, self.kept))

    def has(self, customer: str, asset: str) -> Holding:
        """What the books say that a customer has of an asset."""
        return Books(self.ledger, Kept()).holdings(customer).get(asset, Holding())


def is_booked(verdict: Verdict) -> bool:
    """Whether it moved money."""
    return verdict.outcome is Outcome.POSTED


def crowd(seed: int, steps: int) -> Iterator[Any]:
    """What customers and the exchange say, the same for the same seed; now and then one of the last words is told again."""
    dice, recent = Random(-seed - 1), deque[Any](maxlen=40)
    for word in said_once(seed, steps):
        yield word
        recent.append(word)
        if dice.random() < 0.04:
            yield dice.choice(recent)


def said_once(seed: int, steps: int) -> Iterator[Any]:
    """The same, each word once."""
    dice, matching = Random(seed), Matching(may_trade_with_oneself=seed % 2 == 0)
    resting: list[tuple[str, str, str, Any]] = []
    yield from (BTC_USDT, ETH_USDT)
    for number in range(steps):
        customer, at_ms = dice.choice(CUSTOMERS), AT_MS + number
        if dice.random() < 0.3:
            kind = dice.choice(("deposit", "deposit", "deposit", "withdrawal", "debit", "transfer"))
            yield _flow(dice, number, customer, kind, at_ms)
        elif resting and dice.random() < 0.2:
            order_id, owner, symbol, side = resting.pop(dice.randrange(len(resting)))
            matching.cancel(order_id, symbol, side)
            yield OrderLock(order_id=order_id, customer=owner, symbol=symbol, command="unlock", as_of=at_ms)
        else:
            yield from _order(dice, number, customer, matching, resting, at_ms)


def _flow(dice: Random, number: int, customer: str, kind: Any, at_ms: int) -> CustomerFlow:
    asset = dice.choice(tuple(UNITS))
    others = [one for one in CUSTOMERS if one != customer]
    amount = dice.randrange(1, 50 * UNITS[asset] if asset != "USDT" else 10**6 * UNITS[asset])
    to = dice.choice(others) if kind == "transfer" else None
    return CustomerFlow(id=f"f{number}", customer=customer, asset=asset, amount=amount, kind=kind, to=to, as_of=at_ms)


def _order(
    dice: Random, number: int, customer: str, matching: Matching, resting: list[Any], at_ms: int
) -> Iterator[OrderLock | MatchedTrade]:
    instrument = dice.choice((BTC_USDT, ETH_USDT))
    symbol, side = instrument.symbol, dice.choice(("buy", "sell"))
    limit = Decimal(dice.randrange(90, 111))
    quantity = dice.randrange(1, 20) * instrument.lot * (10**8 if symbol == "BTC_USDT" else 10**6) // 10
    order = {"order_id": f"o{number}", "customer": customer, "symbol": symbol}
    yield OrderLock(**order, command="lock", side=side, limit=limit, quantity=quantity, as_of=at_ms)  # type: ignore[arg-type]
    for word in matching.place(order["order_id"], customer, symbol, side, limit, quantity, at_ms):
        if isinstance(word, Cancelled):
            yield OrderLock(order_id=word.order_id, customer=word.customer, symbol=symbol, command="unlock", as_of=at_ms)
        else:
            yield word
    resting.append((order["order_id"], customer, symbol, side))
