"""What workers are joined to, as the settings say."""

import pytest
from structlog.testing import capture_logs

from app.places.places import Places
from app.settings import HedgeBook, Settings, Venue
from app.workers.parts import Joints, books_of, chart_of, of_execution
from connectors.kafka.source import KafkaSettings
from connectors.rounds import RoundsSource
from domain.hedging.policy import Policy

NOWHERE = Places("postgresql://nowhere", KafkaSettings("nowhere:1"), False)
TWO = Settings(
    venues={"one": Venue(), "other": Venue()},
    books={"main": HedgeBook(venue="one"), "euro": HedgeBook(venue="other", policy=Policy(rules="reference"))},
)


@pytest.mark.parametrize(("urls", "names"), [({}, []), ({"simulated": "http://127.0.0.1:1"}, ["simulated"])])
def test_a_venue_without_an_address_has_no_rounds(urls: dict[str, str], names: list[str]) -> None:
    """Nothing goes round for it, which the log says."""
    with capture_logs() as logs:
        gateways = of_execution(Joints(Settings(), NOWHERE, urls, lambda: False)).gateways
    assert isinstance(gateways, RoundsSource)
    assert names == gateways.list_parts()
    assert ([] if names else ["venue.has_no_address"]) == [line["event"] for line in logs]


def test_a_book_decides_by_its_own_policy_or_by_that_of_all() -> None:
    """Two books at two venues, of which one has a policy of its own."""
    assert [("main", "one", "guarded"), ("euro", "other", "reference")] == [
        (book.name, book.venue, book.policy.rules) for book in books_of(TWO)
    ]


def test_every_venue_and_book_has_its_accounts() -> None:
    """What the settings name can be booked on."""
    codes = {account.code for account in chart_of(TWO)}
    assert {"POSITION/one", "POSITION/other", "ALLOCATION/main", "ALLOCATION/euro"} <= codes
