"""Simulated customers who trade with each other in two symbols, seeded: the same seed gives the same people.

Each beat somebody orders near a price that wanders, so about half of the orders find another one at once and the rest wait. Some
customers are poor: what they order is refused, and now and then one of them is debited what he does not have. Money comes and
goes beside the orders.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, NamedTuple

from domain.messages.fields import Message
from domain.messages.settlement import CustomerFlow, CustomerTerms, FeeSchedule, Instrument, OrderLock
from domain.simulated.exchange import draw
from domain.simulated.matching import Side

BEATS_PER_SECOND = 30.0
"""An order a beat."""
CUSTOMERS = tuple(f"c{number:02d}" for number in range(1, 25))
POOR_EVERY = 12
"""So many customers of which one is poor."""
LEVELS = 10
"""The levels that customers are spread over."""
FLOWS_PER_THOUSAND, HASTY_PER_THOUSAND, CANCELS_PER_THOUSAND = 50, 200, 250
"""Per beat flows of money and cancels, and of the orders of the poor those that are matched without asking who pays."""
SPREAD_PPM, DRIFT_PPM = 3_000, 400
LOTS_MAX = 300
PPM = 1_000_000
UNITS = {"BTC": 10**8, "ETH": 10**18, "USDT": 10**6}
OPENING = {"BTC": 40, "ETH": 800, "USDT": 2_000_000}
POOR_OPENING = {"USDT": 20}
KINDS: tuple[Literal["deposit", "withdrawal", "transfer", "debit"], ...] = ("deposit", "withdrawal", "transfer", "debit")
LARGEST = {"deposit": 50, "withdrawal": 20, "transfer": 20, "debit": 30}
"""The largest flow of each kind, in dollars."""


class Traded(NamedTuple):
    """A symbol of the demo: its base with its decimals, its lot, and around which price it is traded, in ticks of a cent."""

    base: str
    decimals: int
    lot: int
    price_cents: int

    @property
    def symbol(self) -> str:
        """Its name."""
        return f"{self.base}_USDT"


# A lot at any price of a cent costs a whole number of the quote's smallest units, so nothing is refused as inexact.
TRADED = (Traded("BTC", 8, 10_000, 4_995_000), Traded("ETH", 18, 10**15, 250_000))


class Order(NamedTuple):
    """What a customer orders. One that is hasty is matched before anybody knows whether it can be paid."""

    order_id: str
    customer: str
    symbol: str
    side: Side
    limit: Decimal
    quantity: int
    is_hasty: bool = False

    def lock(self, at_ms: int) -> OrderLock:
        """Return the word that locks what it may cost."""
        return OrderLock(
            order_id=self.order_id,
            customer=self.customer,
            symbol=self.symbol,
            command="lock",
            side=self.side,
            limit=self.limit,
            quantity=self.quantity,
            as_of=at_ms,
        )

    def unlock(self, at_ms: int) -> OrderLock:
        """Return the word that it has ended."""
        return OrderLock(order_id=self.order_id, customer=self.customer, symbol=self.symbol, command="unlock", as_of=at_ms)


def is_poor(customer: str) -> bool:
    """Return whether somebody has next to nothing."""
    return CUSTOMERS.index(customer) % POOR_EVERY == 0


class Traders:
    """What customers do, by seed. `run` makes their ids unlike those of another run over the same books."""

    def __init__(self, seed: int, run: str) -> None:
        self._seed, self._run = seed, run
        self._beat = 0
        self._cents = {one.symbol: one.price_cents for one in TRADED}

    def opening(self, at_ms: int) -> Iterator[Message]:
        """Yield what trading begins with: what is traded and what that costs, levels, and money of everybody."""
        said = {"by": "demo", "reason": "what is traded in a demo", "as_of": at_ms}
        levels = ((1_000, 1_500), (800, 1_200), (500, 900), (100, 400))
        yield FeeSchedule(fees="standard", levels=levels, **said)  # type: ignore[arg-type]
        yield from (_instrument(one, said) for one in TRADED)
        for number, customer in enumerate(CUSTOMERS):
            yield CustomerTerms(customer=customer, level=number % LEVELS, status="active", **said)  # type: ignore[arg-type]
            for asset, amount in (POOR_OPENING if is_poor(customer) else OPENING).items():
                id_ = f"{self._run}-{customer}-{asset}"
                units = amount * UNITS[asset]
                yield CustomerFlow(id=id_, customer=customer, asset=asset, amount=units, kind="deposit", as_of=at_ms)

    def beat(self) -> Order:
        """Return the next order."""
        self._beat += 1
        traded = TRADED[self.lot(len(TRADED), "symbol")]
        cents = self._wandered(traded)
        customer = CUSTOMERS[self.lot(len(CUSTOMERS), "who")]
        side: Side = "buy" if is_poor(customer) or self.lot(2, "side") else "sell"
        is_hasty = is_poor(customer) and self.lot(1000, "hasty") < HASTY_PER_THOUSAND
        off_ppm = self.lot(2 * SPREAD_PPM, "limit") - SPREAD_PPM
        # Who is in a hurry takes any price.
        limit = Decimal(cents + cents * (3 * SPREAD_PPM if is_hasty else off_ppm) // PPM) / 100
        quantity = (1 + self.lot(LOTS_MAX, "quantity")) * traded.lot
        return Order(f"{self._run}-o{self._beat:06d}", customer, traded.symbol, side, limit, quantity, is_hasty)

    def flow(self, at_ms: int) -> CustomerFlow | None:
        """Return what money comes, goes or moves in this beat, if any."""
        if self.lot(1000, "flow") >= FLOWS_PER_THOUSAND:
            return None
        kind = KINDS[self.lot(len(KINDS), "kind")]
        # What is taken by force is taken from the poor, so that debts are seen.
        customer = CUSTOMERS[0 if kind == "debit" else self.lot(len(CUSTOMERS), "whose")]
        others = [one for one in CUSTOMERS if one != customer]
        return CustomerFlow(
            id=f"{self._run}-f{self._beat:06d}",
            customer=customer,
            asset="USDT",
            amount=(1 + self.lot(LARGEST[kind], "amount")) * UNITS["USDT"],
            kind=kind,
            to=others[self.lot(len(others), "to")] if kind == "transfer" else None,
            as_of=at_ms,
        )

    def cancels(self) -> int | None:
        """Return a number that chooses an order to be cancelled in this beat; None for none."""
        return self.lot(1 << 32, "which") if self.lot(1000, "cancel") < CANCELS_PER_THOUSAND else None

    def _wandered(self, traded: Traded) -> int:
        before = self._cents[traded.symbol]
        step = before * (self.lot(2 * DRIFT_PPM + 1, "drift") - DRIFT_PPM) // PPM
        # It is drawn back to where it began, so that it never comes near zero.
        self._cents[traded.symbol] = before + step + (traded.price_cents - before) // 200
        return self._cents[traded.symbol]

    def lot(self, below: int, what: str) -> int:
        """Return a number below `below` that this beat draws for `what`."""
        return draw(self._seed, below, what, f"trader {self._beat}")


def _instrument(traded: Traded, said: dict[str, object]) -> Instrument:
    return Instrument(
        symbol=traded.symbol,
        base=traded.base,
        base_decimals=traded.decimals,
        quote="USDT",
        quote_decimals=6,
        tick="0.01",  # type: ignore[arg-type]
        lot=traded.lot,
        status="open",
        fees="standard",
        **said,  # type: ignore[arg-type]
    )
