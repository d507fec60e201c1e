"""The flows as a deployment runs them: each a worker of its own, joined by nothing but topics and the database."""

from collections.abc import Iterator

import pytest

from tests.app.surroundings import Running, running_flows
from tests.app.typed import assert_hedged, type_with_ballast

pytestmark = pytest.mark.postgres


@pytest.fixture
def deployed() -> Iterator[Running]:
    """Three workers, as docker-compose.yml starts them.

    They go on from what topics say of the ledger and of orders, so no other ledger may have spoken there: whatever broker
    the other tests share, these have one of their own.
    """
    with running_flows(["liability", "hedging", "execution"], broker=None) as running:
        yield running


def test_flows_joined_by_topics_hedge_a_trade(deployed: Running) -> None:
    """What one process does with all flows in it, three do with one flow each."""
    assert_hedged(deployed, type_with_ballast)
