"""`ballast explain`: the chain of one thing of each kind, both ways, out of a database that the real pieces have filled.

What it tells of each is committed in docs/explain. After a change, write it anew, and look at it:

    python -m tests.app.reports.explain.test_explain --write
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
import pytest

from app.reports.explain.chain import explain
from app.reports.explain.graph import Explained, as_json
from app.reports.explain.story import BACK, story
from domain.errors import BallastError
from domain.hedging.policy import Policy
from domain.ids import content_id
from domain.ledger.accounts import CHART
from domain.ledger.leaves import on_leaves, with_leaves
from domain.messages.decisions import Decision
from domain.templates.exchange_position import fill_id, position_id
from domain.templates.rebooking import rebooking_id
from domain.times import datetime_of
from sinks.decisions import Decisions
from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from tests.app.conftest import Ballast
from tests.app.reports.explain.treasury import WATCHED, Treasury, lived, said_on, tell_treasury
from tests.app.surroundings import ROOT, assert_one_sentence, open_database, open_server
from tests.sinks.ledger.story import as_superuser
from tests.words import START_MS, VENUE

pytestmark = pytest.mark.postgres

EXAMPLES = ROOT / "docs" / "explain"
SHARDS = (0, 2)


class Place(NamedTuple):
    """A treasury, and where it is."""

    dsn: str
    ids: Treasury

    def explained(self, name: str) -> Explained:
        """The chain of an id."""
        return explain(self.dsn, WATCHED, name)


@pytest.fixture(scope="module")
def treasury(server: str) -> Iterator[Place]:
    """The small treasury, for reading."""
    with open_database(server) as dsn:
        migrate(dsn)
        yield Place(dsn, tell_treasury(dsn))


def examples(ids: Treasury) -> dict[str, str]:
    """An id of each kind by the name of its file."""
    messages = {
        "message": "dealer.transactions/0/1",
        "kept": "dealer.transactions/0/90",
        "unread": "dealer.transactions/0/91",
    }
    named = {
        "trade": ids.sold,
        "rejection": ids.rejected,
        "decision": ids.decision,
        "order": ids.order,
        "transfer": ids.transfer,
    }
    return {**messages, **named, "leg": "b1", "refused": "b3", "fill": "f5"}


def texts(place: Place) -> dict[str, str]:
    """What is told of each example."""
    return {
        f"{name}.txt": f"$ ballast explain {id_}\n\n{story(place.explained(id_))}"
        for name, id_ in examples(place.ids).items()
    }


def linked(explained: Explained, *path: str) -> set[tuple[str, ...]]:
    """The ids along every path of edges with these words."""
    found = {(node.id,) for node in explained.nodes}
    for word in path:
        ends = {(edge.start[1], edge.end[1]) for edge in explained.edges if edge.word == word}
        found = {(*ids, end) for ids in found for start, end in ends if ids[-1] == start}
    return found


def test_what_is_told_is_what_is_committed(treasury: Place) -> None:
    """Of an id of each kind, to the letter."""
    assert {path.name: path.read_text() for path in EXAMPLES.glob("*.txt")} == texts(treasury)


@pytest.mark.parametrize("name", ["b1", "u1", "dealer.transactions/0/1", "trade"])
def test_a_chain_goes_from_a_message_to_the_fill(treasury: Place, name: str) -> None:
    """From either leg, the message or the trade: over the hold and the decision after it to the order and all that was booked."""
    ids = treasury.ids
    found = treasury.explained(ids.bought if name == "trade" else name)
    booked = {path[-1] for path in linked(found, "is decided on after a hold by", "asks for", "is booked as")}
    named = {id_of(VENUE, event) for event in ("f5", "f6") for id_of in (fill_id, position_id)}
    assert named < booked
    assert 5 == len(booked)
    assert {("b1", ids.bought), ("u1", ids.bought)} == linked(found, "is one side of")
    assert ("dealer.transactions/0/1", ids.bought) in linked(found, "led to")
    (held,) = [node for node in found.nodes if node.kind == "decision" and node.facts["action"] == "hold"]
    assert {(ids.bought, held.id)} == linked(found, "is counted by")


@pytest.mark.parametrize("name", ["f5", "f6", "order", "decision"])
def test_a_chain_goes_back_to_the_trade(treasury: Place, name: str) -> None:
    """From a fill to its order, its decision, and what changed the liability since the last that was not held."""
    ids = treasury.ids
    found = treasury.explained({"order": ids.order, "decision": ids.decision}.get(name, name))
    assert (ids.bought, ids.decision, ids.order) in linked(found, "is counted by", "asks for")
    (decision,) = [node for node in found.nodes if node.kind == "decision"]
    since = decision.facts["since"]
    assert (None, 1, 2_000_000) == (since["decision_before"], since["changes"], since["moved"])
    assert [(ids.bought, "b1", "u1", 2_000_000)] == [
        (row["tx_id"], row["btc_leg"], row["usd_leg"], row["moved"]) for row in since["named"]
    ]
    inputs = {one["fact"]: one for one in decision.facts["inputs"]}
    assert (2_000_000, 1, 0) == tuple(inputs["liability"][fact] for fact in ("liability_cents", "version", "age_ms"))
    assert ("40000", 500) == (inputs["price"]["price_usd"], inputs["price"]["age_ms"])


def test_what_was_taken_back_is_told_both_ways(treasury: Place) -> None:
    """A trade leads to its reversal with the reason, and the reversal back to the trade and its legs."""
    ids = treasury.ids
    forwards = treasury.explained(ids.sold)
    ((_, reversal),) = linked(forwards, "is reversed by")
    (node,) = [one for one in forwards.nodes if one.id == reversal]
    assert "was refunded" == node.facts["meta"]["reason"]
    backwards = treasury.explained(reversal)
    assert {("b2", ids.sold, reversal), ("u2", ids.sold, reversal)} == linked(backwards, "is one side of", "is reversed by")


def test_what_was_rejected_leads_to_what_booked_it_after_all(treasury: Place) -> None:
    """By the id of the rejection, of the later booking, or of a leg of it."""
    rejected = treasury.ids.rejected
    for name in (rejected, rebooking_id(rejected), "b4"):
        assert {(rejected, rebooking_id(rejected))} == linked(treasury.explained(name), "is booked after all by")


def test_a_message_in_quarantine_says_what_became_of_it(treasury: Place) -> None:
    """Reason and bytes; where the same bytes were kept before and after, and what they were used as since."""
    kept, first, again = (treasury.explained(f"dealer.transactions/0/{offset}") for offset in (90, 91, 92))
    assert ("dealer.transactions/0/90", "b1", treasury.ids.bought) in linked(kept, "was used after all as", "is one side of")
    for found in (first, again):
        assert {("dealer.transactions/0/91", "dealer.transactions/0/92")} == linked(found, "was read again as")
    (node, *_) = first.nodes
    facts = node.facts["quarantined"]
    assert ("invalid", "it was not usable then", "hello") == tuple(facts[name] for name in ("reason", "detail", "raw"))
    assert facts["today"].startswith("not_json")


def test_an_id_is_known_however_it_is_written(treasury: Place) -> None:
    """In capitals, without dashes or as a name among others, the id of a transaction is that id."""
    bought = treasury.ids.bought
    for written in (bought.upper(), bought.replace("-", ""), f"urn:uuid:{bought}", f"{{{bought}}}"):
        assert treasury.explained(bought) == treasury.explained(written)


def test_json_names_both_ends_of_every_edge_among_the_nodes(treasury: Place) -> None:
    """Whatever is asked for, each edge joins two nodes, is told in words from either end, and nothing stands twice."""
    for name in examples(treasury.ids).values():
        told: dict[str, Any] = as_json(treasury.explained(name))
        keys = [{"kind": node["kind"], "id": node["id"]} for node in told["nodes"]]
        ends = [end for edge in told["edges"] for end in (edge["from"], edge["to"])]
        assert [] == [key for key in (*told["asked"], *ends) if keys.count(key) != 1]
        assert {edge["word"] for edge in told["edges"]} <= BACK.keys()


@pytest.mark.parametrize(
    "name", ["", "nobody", "a/b/c", f"x/1/{10**30}", "018bcfe5-6800-8000-8000-000000000000", "a\x1bb", "%s"]
)
def test_an_unknown_id_is_one_sentence(treasury: Place, name: str) -> None:
    """It says what was looked for and what ids look like, whatever was typed."""
    with pytest.raises(BallastError, match="topic/partition/offset") as raised:
        treasury.explained(name)
    assert "\n" not in str(raised.value)
    assert str(raised.value).isprintable()


def test_the_command_tells_draws_and_gives_it(treasury: Place, ballast: Ballast) -> None:
    """In words, as a flowchart or as JSON, over a database alone; what is unknown ends with 1."""
    settings = {"BALLAST_POSTGRES__DSN": treasury.dsn}
    said = ballast("explain", "f5", settings=settings)
    assert (0, (EXAMPLES / "fill.txt").read_text().partition("\n\n")[2]) == (said.code, said.out)
    assert as_json(treasury.explained("f5")) == ballast("explain", "f5", "--json", settings=settings).json()
    assert ballast("explain", "f5", "--mermaid", settings=settings).out.startswith("flowchart LR\n")
    assert "either" in ballast("explain", "f5", "--mermaid", "--json", settings=settings).err
    assert_one_sentence(ballast("explain", "nobody", settings=settings), "nobody", "topic/partition/offset", code=1)


def test_spread_over_shards_a_trade_is_counted_by_time(database: str) -> None:
    """Versions of leaves do not compare: the first decision whose liability is as of the trade's second or later counts it."""
    migrate(database)
    said, _, _ = lived()
    trades = [one for one in said.ledger.transactions() if "btc_leg" in one.meta]
    for shard in SHARDS:
        with closing(PostgresLedger(database, shard, accounts=with_leaves(CHART, SHARDS))) as ledger:
            for trade in trades:
                leafed = on_leaves(trade, SHARDS, shard)
                ledger.post([leafed] if leafed else [])
    with psycopg.connect(database, autocommit=True) as connection:
        as_superuser(connection, b"UPDATE ledger.batch SET recorded_at = %(at)s", {"at": datetime_of(START_MS + 4_300)})
    hedges = [
        one for text in said_on(said, "hedging.decisions") if (one := Decision.model_validate_json(text)).kind == "hedge"
    ]
    known = [
        one.model_copy(update={"inputs": one.inputs | {"liability_as_of": START_MS + 3_900 + 200 * place}})
        for place, one in enumerate(hedges)
    ]
    with closing(Decisions(database, [Policy()])) as keeping:
        keeping.record(known)
    for trade in trades:
        found = explain(database, WATCHED, trade.id)
        assert {(trade.id, known[1].id)} == linked(found, "is counted, by time, by")
    sale = next(one for one in known if one.action == "sell")
    (decision, *_) = explain(database, WATCHED, sale.id).nodes
    assert (True, 2, 1_500_000) == tuple(decision.facts["since"][name] for name in ("by_time", "changes", "moved"))


def test_of_many_changes_ten_are_named(database: str) -> None:
    """Of thirteen trades since the last decision all are counted and summed, ten are named, and three are said to be left."""
    migrate(database)
    said, _, _ = lived()
    bought = next(one for one in said.ledger.transactions() if "btc_leg" in one.meta)
    with closing(PostgresLedger(database, 0, accounts=CHART)) as ledger:
        ledger.post([bought._replace(id=content_id(str(number)), source_offset=number) for number in range(13)])
    sale = next(one for text in said_on(said, "hedging.decisions") if (one := Decision.model_validate_json(text)).amount < 0)
    with closing(Decisions(database, [Policy()])) as keeping:
        keeping.record([sale.model_copy(update={"inputs": sale.inputs | {"liability_version": 13}})])
    found = explain(database, WATCHED, sale.id)
    (decision, *trades) = [node for node in found.nodes if node.kind in ("decision", "transaction")]
    since = decision.facts["since"]
    assert (13, 26_000_000, 10, 10) == (since["changes"], since["moved"], len(since["named"]), len(trades))
    assert "changed 13 times, by 26000000 cents, of which 3 are not named here" in story(found)


def _write() -> None:
    with open_server() as server, open_database(server) as dsn:
        migrate(dsn)
        for name, text in texts(Place(dsn, tell_treasury(dsn))).items():
            (EXAMPLES / name).write_text(text)


if __name__ == "__main__" and "--write" in sys.argv:
    _write()
