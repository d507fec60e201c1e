"""Rehearsals: nothing is broken in scenarios of failing providers, a seed says the same twice, and what is broken is found."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.rehearsal.rehearse import Played, outcome, play, rehearse
from app.rehearsal.scenario import Actor, scenario_of
from app.rehearsal.stage import Stage
from domain.ledger.accounts import CHART
from domain.ledger.journal import Booked, Outcome, Transaction, Verdict
from domain.ledger.memory import MemoryLedger
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_terms import Account, Conversion
from domain.templates.buffers import BUFFER_TRANSFER, CONVERSION
from tests.app.conftest import Ballast

CONVERTED = frozenset((CONVERSION, BUFFER_TRANSFER))


def test_nothing_is_broken() -> None:
    """In thirty scenarios all promises are kept, over faults, retries, other providers and restarts."""
    report = rehearse(30, 1, processes=1)
    assert ([], 0) == (report["breaches"], report["scenarios_broken"])
    for name in ("completed", "failed", "cancelled", "parked", "failovers", "retries", "restarts"):
        assert 0 < report[name], name


def test_a_seed_says_the_same_twice(ballast: Ballast) -> None:
    """The command says by two processes what is played here in one, byte for byte; another seed says something else."""
    here = rehearse(4, 5, processes=1)
    there = ballast("treasury", "rehearse", "--scenarios", "4", "--seed", "5", "--json")
    assert (0, "", here) == (there.code, there.err, there.json())
    assert here["digest"] != rehearse(4, 6, processes=1)["digest"]


class Forgetful(MemoryLedger):
    """A ledger that says of the second conversion that it is posted, and does not post it."""

    seen = 0

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post all but one."""
        kept, dropped = list[Transaction](), list[Transaction]()
        for one in transactions:
            self.seen += one.template in CONVERTED
            (dropped if one.template in CONVERTED and self.seen == 2 else kept).append(one)
        booked = super().post(kept)
        found = {verdict.transaction_id: verdict for verdict in booked.verdicts}
        found |= {one.id: Verdict(one.id, Outcome.POSTED) for one in dropped}
        return booked._replace(verdicts=[found[one.id] for one in transactions])


class Generous(SimulatedProvider):
    """A provider that carries everything out a second time, under another name."""

    def _complete(self, conversion: Conversion) -> None:
        first = conversion.provider_tx_id
        super()._complete(conversion)
        self._open[conversion.client_conversion_id] = conversion
        pots, quote = self.account.books[conversion.source_currency], conversion.quote
        pots["customer"] -= quote.source_amount
        pots["held"] += quote.source_amount
        conversion.provider_tx_id = f"{first}-again"
        super()._complete(conversion)


class Silent(SimulatedProvider):
    """A provider whose word that it has completed something is lost for good, though its statement has it."""

    def _say(self, conversion: Conversion, state: Any, error: str | None = None) -> Any:
        said = super()._say(conversion, state, error)
        if state == "completed":
            self.changes[-1] = said.model_copy(
                update={"state": "failed", "source_amount": None, "destination_amount": None, "fee_amount": None}
            )
        return said


def played(seed: int, ledger: MemoryLedger | None = None, provider: type[SimulatedProvider] = SimulatedProvider) -> Played:
    """The outcome of a scenario over another ledger, or other providers."""

    def opened(actor: Actor, seed: int) -> SimulatedProvider:
        return provider(actor.terms, seed, actor.faults, Account(name=actor.config.provider))

    return outcome(Stage(scenario_of(seed), ledger, opened))


@pytest.mark.parametrize(
    ("ledger", "provider", "promises"),
    [
        (Forgetful(CHART), SimulatedProvider, {"conserved", "statements", "postings"}),
        (None, Generous, {"paid once"}),
        (None, Silent, {"conserved", "statements"}),
    ],
)
def test_what_is_broken_is_found(ledger: MemoryLedger | None, provider: type[SimulatedProvider], promises: set[str]) -> None:
    """A ledger that drops a posting, a provider that pays twice, and one that lies about the end are named, with their seed."""
    found = played(1, ledger, provider)
    assert 1 == found.seed
    assert promises <= {one.promise for one in found.breaches}
    assert not play(1).breaches
