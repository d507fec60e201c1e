"""Simulated users who trade dollars against bitcoin, seeded: the same seed gives the same people.

Every trade is two legs of the dealer's wallet, as the wallet would list them: in either order, sometimes a moment apart,
usually with a journal memo in common, now and then pending first, failed, or not readable at all.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import NamedTuple

from domain.messages.dealer import DealerTransaction
from operators.streams.publish import encode

SATS_PER_BTC = 100_000_000
GARBAGE = (b"not json", b'{"id": 7}', b"\xff\xfe", b"{}", b'{"id":"x","settlement_amount":1e400}')


class Crowd(NamedTuple):
    """Who trades: amounts in cents, shares per thousand."""

    seed: int = 1
    amount_min_cents: int = 500
    amount_max_cents: int = 200_000
    liability_target_cents: int = 30_000_000
    pending_per_thousand: int = 10
    failed_per_thousand: int = 5
    garbage_per_thousand: int = 3


class Line(NamedTuple):
    """One message that a user's trade causes, `delay_ms` after the trade."""

    delay_ms: int
    value: bytes


class Users:
    """Keeps what the users hold, so that nobody sells dollars that nobody has.

    `run` makes the ids of this crowd unlike those of others.
    """

    def __init__(self, crowd: Crowd, run: str) -> None:
        self._crowd = crowd
        self._random = Random(f"{crowd.seed}")  # noqa: S311 - a simulation
        self._run = run
        self._count = 0
        self.liability_cents = 0

    def trade(self, at_ms: int, price_usd: Decimal) -> list[Line]:
        """One trade at `price_usd`, as lines for `dealer.transactions`."""
        if self._random.randrange(1000) < self._crowd.garbage_per_thousand:
            return [Line(0, self._random.choice(GARBAGE))]
        self._count += 1
        buys_usd = self._buys_usd()
        cents = self._amount_cents(buys_usd)
        legs = self._legs(at_ms, price_usd, cents, buys_usd)
        return list(self._deliveries(legs, cents if buys_usd else -cents))

    def _buys_usd(self) -> bool:
        # People drift towards the target, so the liability grows at first and then wanders.
        held, target = self.liability_cents, self._crowd.liability_target_cents
        return held <= 0 or self._random.randrange(2 * target) >= held

    def _amount_cents(self, buys_usd: bool) -> int:
        low, high = self._crowd.amount_min_cents, self._crowd.amount_max_cents
        cents = self._random.randint(low, high)
        return cents if buys_usd else max(1, min(cents, self.liability_cents))

    def _legs(self, at_ms: int, price_usd: Decimal, cents: int, buys_usd: bool) -> list[DealerTransaction]:
        name = f"{self._run}-{self._count:07d}"
        cents_per_sat = (price_usd * 100 / SATS_PER_BTC).quantize(Decimal("0.000000000001"), ROUND_HALF_EVEN)
        sats = max(1, int((Decimal(cents) / cents_per_sat).to_integral_value(ROUND_HALF_EVEN)))
        memo = f"JournalId:{name}" if self._random.randrange(10) < 7 else None
        common = {"created_at": at_ms // 1000 * 1000, "memo": memo}
        bitcoin = DealerTransaction(
            id=f"b-{name}",
            direction="RECEIVE" if buys_usd else "SEND",
            settlement_currency="BTC",
            settlement_amount=sats if buys_usd else -sats,
            cents_per_unit=cents_per_sat,
            **common,  # type: ignore[arg-type]
        )
        dollars = DealerTransaction(
            id=f"u-{name}",
            direction="SEND" if buys_usd else "RECEIVE",
            settlement_currency="USD",
            settlement_amount=-cents if buys_usd else cents,
            **common,  # type: ignore[arg-type]
        )
        return [bitcoin, dollars] if self._random.randrange(2) else [dollars, bitcoin]

    def _deliveries(self, legs: list[DealerTransaction], change_cents: int) -> Iterator[Line]:
        apart_ms = self._random.choice((0, 0, 0, 5, 20, 80))
        lot = self._random.randrange(1000)
        failed = lot < self._crowd.failed_per_thousand
        pending = lot < self._crowd.failed_per_thousand + self._crowd.pending_per_thousand
        if pending:
            yield from (Line(0, encode(leg.model_copy(update={"status": "PENDING"}))) for leg in legs)
        for index, leg in enumerate(legs):
            final = leg.model_copy(update={"status": "FAILURE"}) if failed else leg
            yield Line(apart_ms * index + (150 if pending else 0), encode(final))
        if not failed:
            self.liability_cents += change_cents
