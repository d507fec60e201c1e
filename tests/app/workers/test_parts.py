"""What workers are joined to, as the settings say."""

import json

import pytest
from structlog.testing import capture_logs

from app.places.places import Places
from app.settings import HedgeBook, Ledger, Settings, Venue
from app.workers.parts import Joints, all_shards, books_of, chart_of, of_execution, of_liability, of_singles
from connectors.kafka.source import KafkaSettings
from connectors.rounds import RoundsSource
from domain.hedging.policy import Policy
from domain.templates.transfer import transfer
from tests.words import START_MS

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


def test_trades_are_spread_over_as_many_shards_as_the_settings_say() -> None:
    """Each watches its leaf of what is owed, the first what has no leaves too; single postings cross to where a leaf is."""
    books = {"main": HedgeBook(venue="one"), "euro": HedgeBook(venue="other", liability=("EURO_OMNIBUS", "EUR"))}
    settings = Settings(venues=TWO.venues, books=books, ledger=Ledger(trade_shards=3))
    joints = Joints(settings, NOWHERE, {}, lambda: False)
    assert (0, 2, 3, 1) == all_shards(settings)
    assert {0: ["EURO_OMNIBUS", "STABLESATS_OMNIBUS/00"], 2: ["STABLESATS_OMNIBUS/02"], 3: ["STABLESATS_OMNIBUS/03"]} == {
        own.shard: [code for code, _ in own.watched] for own in of_liability(joints).shards
    }
    part = of_singles(joints).part
    paid = transfer(
        "k", "STABLESATS_OMNIBUS/02", "ANNA", "USD", 1, effective_at_ms=START_MS, source="s/0", source_offset=0, memo=None
    )
    home = part and part(paid)
    assert home is not None
    assert ["2"] == list(json.loads(home.meta)["crosses"]["left"])


def test_nothing_is_left_to_the_settlement() -> None:
    """A posting on its accounts stays whole, and the ledger of single postings, which knows none of them, refuses it."""
    part = of_singles(Joints(Settings(), NOWHERE, {}, lambda: False)).part
    paid = transfer("k", "CUSTODY", "ANNA", "USD", 1, effective_at_ms=START_MS, source="s/0", source_offset=0, memo=None)
    assert part is not None
    assert paid == part(paid)
