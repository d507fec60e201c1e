"""The flows as a deployment runs them: each a worker of its own, joined by nothing but topics and the database."""

from collections.abc import Iterator

import pytest

from tests.app.surroundings import Running, running_flows
from tests.app.typed import assert_hedged, type_with_ballast
from tests.waiting import until

pytestmark = pytest.mark.postgres

FLOWS = ["liability", "hedging", "execution", "ledger"]


@pytest.fixture(scope="module")
def deployed() -> Iterator[Running]:
    """A worker per flow, as docker-compose.yml starts them.

    They go on from what topics say of the ledger and of orders, so no other ledger may have spoken there: whatever broker
    the other tests share, these have one of their own.
    """
    with running_flows(FLOWS, broker=None) as running:
        yield running


def test_flows_joined_by_topics_hedge_a_trade(deployed: Running) -> None:
    """What one process does with all flows in it, several do with one flow each."""
    assert_hedged(deployed, type_with_ballast)


def test_each_flow_is_well_by_its_own_word(deployed: Running) -> None:
    """What the health checks of docker-compose.yml ask is answered for each flow by what its own steps say."""
    for flow in FLOWS:
        well = (0, f"the flow {flow} is well\n", "")
        until(lambda f=flow, w=well: w == deployed.ballast("status", "--health", "--flow", f), well[1])  # type: ignore[misc]
