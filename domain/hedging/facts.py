"""What a desk knows, each fact with its age, and whether that is fresh enough to decide on.

Of two words on the same thing the newer one holds: balances by their version, positions and pockets by the exchange's own
event sequence, prices by their time. So it does not matter in which order they arrive.

A position changes by our own orders. One that no order explains, or that goes back to an older event at a later time, may be a
slip of whoever wrote it, or a liquidation: it is doubted, and nothing is decided meanwhile. The next word that orders do
explain ends the doubt; if the same is said for long enough instead, it is believed. A person may say that a fact is wrong: it is
forgotten, and the next word counts.
"""

from decimal import Decimal
from typing import Any, NamedTuple

from domain.hedging.actions import Hold
from domain.hedging.policy import Freshness
from domain.messages.fields import Message
from domain.messages.ledger import LedgerBalance
from domain.messages.market import Tick
from domain.messages.venue import VenueBalance, VenuePosition
from domain.topics import LEDGER_BALANCES, MARKET_TICKS, VENUE_BALANCES, VENUE_POSITIONS

KEPT_OF: dict[str, tuple[str, ...]] = {
    MARKET_TICKS.name: ("price",),
    VENUE_POSITIONS.name: ("position", "doubted"),
    VENUE_BALANCES.name: ("balance",),
    LEDGER_BALANCES.name: ("liability",),
}
"""By topic: what is remembered of its words."""

Span = tuple[int, int]
"""The least and the most contracts that a position can have come to."""


class Facts(NamedTuple):
    """The newest word on everything that decisions depend on; None is not heard of yet."""

    liability: LedgerBalance | None = None
    position: VenuePosition | None = None
    balance: VenueBalance | None = None
    price: Tick | None = None
    doubted: VenuePosition | None = None

    def with_liability(self, word: LedgerBalance) -> "Facts":
        """The same version again, later, says that nothing has changed since."""
        old = self.liability
        newer = old is None or (word.version, word.as_of) >= (old.version, old.as_of)
        return self._replace(liability=word) if newer else self

    def with_liability_unchanged(self, at_ms: int) -> "Facts":
        """Take that nothing has changed up to this time since the last word, if there was one."""
        old = self.liability
        if old is None or old.as_of >= at_ms:
            return self
        return self._replace(liability=old.model_copy(update={"as_of": at_ms}))

    def with_position(self, word: VenuePosition) -> "Facts":
        """Positions are ordered by the exchange's sequence."""
        old = self.position
        newer = old is None or (word.sequence, word.as_of) >= (old.sequence, old.as_of)
        return self._replace(position=word, doubted=None) if newer else self

    def with_plausible_position(self, word: VenuePosition, span: Span | None, doubt_ms: int) -> "Facts":
        """Take a position that our orders can have led to, from the first to the second number of contracts; doubt another."""
        old = self.position
        if old is None or (word.as_of < old.as_of and word.sequence <= old.sequence):
            return self.with_position(word)
        explained = span is None or span[0] <= word.contracts <= span[1]
        return self.with_position(word) if word.sequence >= old.sequence and explained else self._doubting(word, doubt_ms)

    def _doubting(self, word: VenuePosition, doubt_ms: int) -> "Facts":
        first = self.doubted
        if first is None or first.contracts != word.contracts:
            return self._replace(doubted=word)
        return self._replace(position=word, doubted=None) if word.as_of - first.as_of >= doubt_ms else self

    def with_balance(self, word: VenueBalance) -> "Facts":
        """So are the pockets."""
        old = self.balance
        newer = old is None or (word.sequence, word.as_of) >= (old.sequence, old.as_of)
        return self._replace(balance=word) if newer else self

    def with_price(self, word: Tick) -> "Facts":
        """Prices are ordered by their time."""
        return self._replace(price=word) if self.price is None or word.as_of >= self.price.as_of else self

    def without(self, topic: str) -> "Facts":
        """Forget what a topic told, so that its next word counts whatever its sequence."""
        return self._replace(**dict.fromkeys(KEPT_OF.get(topic, ())))

    @property
    def collateral_sats(self) -> int:
        return self.balance.trading_equity_sats if self.balance else 0

    @property
    def funding_sats(self) -> int:
        return self.balance.funding_sats if self.balance else 0

    @property
    def position_sequence(self) -> int:
        return self.position.sequence if self.position else 0

    @property
    def balance_sequence(self) -> int:
        return self.balance.sequence if self.balance else 0

    def plain(self) -> dict[str, dict[str, Any] | None]:
        """The facts as plain JSON, for a snapshot."""
        return {name: fact.model_dump(mode="json") if fact else None for name, fact in self._asdict().items()}

    @classmethod
    def restored(cls, plain: dict[str, dict[str, Any] | None]) -> "Facts":
        """The facts that `plain` wrote down."""
        facts: dict[str, Any] = {name: MODELS[name].model_validate(fact) for name, fact in plain.items() if fact}
        return cls(**facts)

    @property
    def liability_cents(self) -> int:
        return self.liability.settled if self.liability else 0

    @property
    def exposure_cents(self) -> int:
        return self.position.exposure_cents if self.position else 0

    @property
    def price_cents(self) -> Decimal:
        """Cents for one bitcoin."""
        return self.price.price_usd * 100 if self.price else Decimal(0)

    @property
    def mark_cents(self) -> Decimal | None:
        """Cents for one bitcoin by the venue's own account, if it says so."""
        mark = self.balance.mark_price_usd if self.balance else None
        return None if mark is None else mark * 100

    def expiries_ms(self, limits: Freshness) -> dict[str, int | None]:
        """By fact, until when it may be decided on; None when there is none."""
        return {
            "liability": _until(self.liability, limits.liability_age_max_ms),
            "position": _until(self.position, limits.position_age_max_ms),
            "balance": _until(self.balance, limits.balance_age_max_ms),
            "price": _until(self.price, limits.price_age_max_ms),
        }

    def recorded(self) -> dict[str, Any]:
        """The facts as a decision records them."""
        return {
            "liability_cents": self.liability_cents,
            "liability_as_of": _as_of(self.liability),
            "liability_version": self.liability.version if self.liability else None,
            "exposure_cents": self.exposure_cents,
            "position_as_of": _as_of(self.position),
            "position_sequence": self.position.sequence if self.position else None,
            "trading_equity_sats": self.balance.trading_equity_sats if self.balance else None,
            "funding_sats": self.balance.funding_sats if self.balance else None,
            "balance_as_of": _as_of(self.balance),
            "balance_sequence": self.balance.sequence if self.balance else None,
            "price_usd": str(self.price.price_usd) if self.price else None,
            "price_as_of": _as_of(self.price),
            "mark_price_usd": None if self.mark_cents is None else str(self.mark_cents / 100),
            "doubted_contracts": self.doubted.contracts if self.doubted else None,
        }


Dated = LedgerBalance | VenuePosition | VenueBalance | Tick
MODELS: dict[str, type[Message]] = {
    "liability": LedgerBalance,
    "position": VenuePosition,
    "balance": VenueBalance,
    "price": Tick,
    "doubted": VenuePosition,
}


def _until(fact: Dated | None, age_max_ms: int) -> int | None:
    return None if fact is None else fact.as_of + age_max_ms


def _as_of(fact: Dated | None) -> int | None:
    return None if fact is None else fact.as_of


def not_from_the_future(value: Any, at_ms: int) -> Any:
    """A fact as it may be used at `at_ms`: one that claims to be newer is as new as that instant, or it would never grow
    old, and no honest one after it would count as newer."""
    if isinstance(value, Dated) and value.as_of > at_ms:
        return value.model_copy(update={"as_of": at_ms})
    return value


def not_fresh(facts: Facts, names: tuple[str, ...], at_ms: int, limits: Freshness) -> Hold | None:
    """Hold when one of the named facts is missing or older than its limit, and say which."""
    expiries = facts.expiries_ms(limits)
    for name in names:
        until_ms = expiries[name]
        if until_ms is None:
            return Hold(f"no_{name}", f"no {name} has been heard of yet")
        if at_ms > until_ms:
            return Hold(f"stale_{name}", f"the {name} is older than its limit by {at_ms - until_ms} ms")
    return None
