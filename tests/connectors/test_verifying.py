"""The rounds that verify customers' balances: when which look is due, and that nothing is told twice."""

from collections.abc import Sequence

from connectors.verifying import Often, VerifyingRounds
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.settlement.verifying import Error, Job, JobKind, Residual

OFTEN = Often(zero_sum_ms=30_000, sample_ms=3_600_000, sample=2)


class Verifies:
    """Says what it is told to say, and keeps what it was asked."""

    def __init__(self) -> None:
        self.sums: Sequence[Residual] = ()
        self.asked: list[tuple[JobKind, tuple[str, ...]]] = []
        self.errors: dict[str, Error] = {}
        self.is_closed = False

    def residuals(self) -> Sequence[Residual]:
        """What does not come to zero."""
        return self.sums

    def suspects(self, asset: str) -> Sequence[str]:
        """Whose balance of an asset was turned."""
        return [error.customer for error in self.errors.values() if error.asset == asset]

    def next_customers(self, most: int) -> Sequence[str]:
        """Whose turn it is."""
        return ["u1", "u2", "u3"][:most]

    def verify(self, kind: JobKind, customers: Sequence[str], residuals: Sequence[Residual] = ()) -> Job:
        """What is wrong with customers."""
        self.asked.append((kind, tuple(customers)))
        found = [self.errors[customer] for customer in customers if customer in self.errors]
        return Job(len(self.asked), kind, len(customers), 0, found, 0, residuals)

    def close(self) -> None:
        """Nothing is open."""
        self.is_closed = True


def told(rounds: VerifyingRounds) -> list[str]:
    """What one round tells, by the beginning of its words."""
    return [_text(one) for one in rounds.round().told]


def _text(message: Message) -> str:
    assert isinstance(message, Alert)
    assert ("settlement_mismatch", "critical") == (message.subject, message.severity)
    return message.text.split(" by ")[0].split(" instead")[0]


def test_sums_are_looked_at_every_half_minute_and_lead_to_whose_they_are() -> None:
    """What is wrong is told with who has it, once, and again when it is another sum."""
    verifies, clock = Verifies(), [0]
    rounds = VerifyingRounds(verifies, lambda: clock[0], OFTEN, due_ms=10**9)
    assert [] == told(rounds)
    verifies.errors["u7"] = Error("u7", "ETH", "available", "balance", 5, 12)
    verifies.sums = [Residual("ETH", 7)]
    clock[0] = 29_999
    assert [] == told(rounds)
    clock[0] = 30_000
    assert ["u7 has 12 ETH available", "all ETH of customers comes to 7"] == told(rounds)
    clock[0] = 60_000
    assert [] == told(rounds)
    verifies.sums = [Residual("ETH", 8)]
    clock[0] = 90_000
    assert ["u7 has 12 ETH available", "all ETH of customers comes to 8"] == told(rounds)
    assert [("continuous", ("u7",))] * 2 == verifies.asked


def test_some_customers_are_verified_every_hour() -> None:
    """At the start, and then when an hour has passed since; a later process goes on from the cursor."""
    verifies, clock = Verifies(), [1_000]
    rounds = VerifyingRounds(verifies, lambda: clock[0], OFTEN)
    cursor = rounds.round().cursor
    assert 3_601_000 == cursor
    clock[0] = 3_600_999
    later = VerifyingRounds(verifies, lambda: clock[0], OFTEN, cursor)
    later.round()
    assert [("hourly", ("u1", "u2"))] == verifies.asked
    clock[0] = 3_601_000
    later.round()
    assert [("hourly", ("u1", "u2"))] * 2 == verifies.asked
    later.close()
    assert verifies.is_closed
