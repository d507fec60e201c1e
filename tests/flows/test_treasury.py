"""The treasury's flow says, keeps and books what its desk does by hand, however the stream is cut and wherever it crashes."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app.workers.shape import shape_of
from connectors.kafka.origin import Origin
from domain import topics
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.messages.treasury import ConversionRequest, TreasuryDecision
from domain.topics import TOPIC_OF, Topic
from domain.treasury.policy import TreasuryPolicy
from flows import treasury
from tests.domain.treasury.desk_runs import Played
from tests.domain.treasury.test_desk import CLOSES_MS, WINDOW_MS, begun, failing
from tests.flows.treasury_runs import Told, flow_of, recorded, run, said_on
from tests.treasury_words import BROKER, FIAT, USDC, event, flow, terms

POLICY = TreasuryPolicy(window_seconds=300, lateness_seconds=30)
SAYS = (
    topics.TREASURY_DECISIONS,
    topics.TREASURY_JOBS,
    topics.TREASURY_WINDOWS,
    topics.TREASURY_LEVELS,
    topics.TREASURY_CONVERSIONS,
    topics.PROVIDER_HEALTH,
)
END_MS = CLOSES_MS + 2 * WINDOW_MS


@pytest.fixture(scope="module")
def by_hand() -> Played:
    """Three windows in which one provider fails and another converts, and buffers drain."""
    levels = {USDC: 12_000, FIAT: 230_000, BROKER: 60_000}
    facts: list[tuple[int, Any]] = begun(levels, terms("due"), terms("zerohash", 2))
    facts += [(1_000 * n, flow(f"w{n}", USDC, -300, 1_000 * n)) for n in range(1, 30)]
    facts += [(WINDOW_MS + 7 * n, flow(f"b{n}", BROKER, -2_000, WINDOW_MS)) for n in range(1, 9)]
    facts += [(END_MS, flow("last", FIAT, 1, END_MS))]
    return Played(POLICY).tell(facts, END_MS, failing("due"))


def said_by(played: Played, topic: Topic[Any]) -> list[Message]:
    """What was said by hand on a topic."""
    return [message for _, message in played.said if TOPIC_OF[type(message)] is topic]


def assert_same(played: Played, told: Told) -> None:
    """What a run said on each topic, and what it booked, is what was done by hand."""
    for topic in SAYS:
        assert said_by(played, topic) == said_on(told, topic), topic.name
    assert {one["id"] for one in played.ledger.transaction_rows()} == {one["id"] for one in told.ledger.transaction_rows()}


def test_the_story_is_one(by_hand: Played) -> None:
    """A job was done by the second provider after the first had failed, and more than one window ordered something."""
    assert {"due", "zerohash"} == {one.provider for one in by_hand.of(ConversionRequest)}
    assert 2 <= len({one.as_of for one in by_hand.of(TreasuryDecision) if one.action == "convert"})


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (7, 2), (1000, 1), (3, 3)])
def test_how_the_stream_is_cut_does_not_show(by_hand: Played, batch_size: int, workers: int) -> None:
    """The flow says and books what the desk does by hand, for every batch size and number of workers."""
    assert_same(by_hand, run(recorded(by_hand.heard), POLICY, batch_size=batch_size, workers=workers))


def test_a_replay_says_the_same_and_asks_nobody(by_hand: Played) -> None:
    """Without execution all is decided as before, and nothing is reserved."""
    told = run(recorded(by_hand.heard), POLICY, treasury.replay)
    assert_same(by_hand, told)
    assert [] == [*told.reservations.changes("due", 0, 10), *told.reservations.changes("zerohash", 0, 10)]


@pytest.mark.crash
@pytest.mark.parametrize("crash_at", [1, 3, 9, 20])
def test_a_crash_changes_nothing(by_hand: Played, crash_at: int, tmp_path: Path) -> None:
    """A flow that crashes and goes on from its snapshot orders nothing twice, and its books are the same."""
    tapes = recorded(by_hand.heard)
    first = run(tapes, POLICY, batch_size=2, crash_at=crash_at, recovery=tmp_path / "r")
    told = run(tapes, POLICY, told=first, batch_size=2, recovery=tmp_path / "r")
    for topic in SAYS:
        once: list[Message] = []
        for message in said_on(told, topic):
            if message not in once:
                once.append(message)
        assert once == [m for n, m in enumerate(said_by(by_hand, topic)) if m not in said_by(by_hand, topic)[:n]]
    asked = [one.client_conversion_id for one in said_on(told, topics.TREASURY_CONVERSIONS)]
    assert {one.client_conversion_id for one in by_hand.of(ConversionRequest)} == set(asked)
    assert len(by_hand.ledger.transaction_rows()) == len(told.ledger.transaction_rows())


def test_what_is_decided_is_kept_before_it_is_said(by_hand: Played) -> None:
    """Thresholds, terms, decisions and jobs are kept, each that is said and in its order."""
    told = run(recorded(by_hand.heard), POLICY)
    decided = [one for one in told.kept if isinstance(one, TreasuryDecision)]
    assert said_on(told, topics.TREASURY_DECISIONS) == decided
    assert {"BufferThresholds", "ProviderConfig", "JobChange", "BufferLevel"} <= {type(one).__name__ for one in told.kept}


def facts_of(words: Iterable[Any]) -> list[tuple[int, Any]]:
    """A buffer that is short, and after its request these words of its provider."""
    return [*begun({USDC: 12_000, FIAT: 150_000, BROKER: 200_000}), *words]


@pytest.mark.parametrize(
    ("word", "subject"),
    [
        ({"client_conversion_id": "nobody's"}, "unknown_conversion"),
        ({"destination_amount": 1}, "amount_mismatch"),
        ({"provider": "zerohash"}, "unknown_conversion"),
    ],
)
def test_a_word_that_does_not_fit_is_parked_with_a_name(word: dict[str, Any], subject: str) -> None:
    """An unknown job and amounts that do not add up are alerts, and book nothing."""
    played = Played(POLICY).tell(facts_of([(1_000, flow("w", USDC, -7_500, 1_000))]), 2_000)
    (request,) = played.of(ConversionRequest)
    said = event(request, "completed", 3_000, **word)
    later = event(request, "processing", 90_000)
    told = run(recorded([*played.heard, (3_000, said), (90_000, later)]), POLICY)
    alerts = [Alert.model_validate_json(one.value) for one in told.outgoing if one.topic == topics.ALERTS.name]
    assert subject in {one.subject for one in alerts}
    assert not [one for one in told.ledger.transaction_rows() if one["template"] == "CONVERSION"]


def test_a_word_before_its_request_waits_for_it() -> None:
    """A webhook may be quicker than the topic of requests: it is booked when both are there, and once."""
    played = Played(POLICY).tell(facts_of([(1_000, flow("w", USDC, -7_500, 1_000))]), 2_000)
    (request,) = played.of(ConversionRequest)
    early = [one for one in played.heard if not isinstance(one[1], ConversionRequest)]
    said = event(request, "completed", 1_000)
    told = run(recorded([*early, (1_001, said), (5_000, request), (6_000, said), (7_000, flow("x", FIAT, 1, 0))]), POLICY)
    assert 1 == sum(one["template"] == "CONVERSION" for one in told.ledger.transaction_rows())
    assert "completed" == said_on(told, topics.TREASURY_JOBS)[-1].state


def test_step_ids_are_frozen() -> None:
    """A step that is renamed starts empty without a word, so a change here must be meant, and needs a way to move state."""
    built = flow_of(recorded([]), POLICY)
    assert (
        json.loads((Path(__file__).parent / "steps.json").read_text())["treasury"]
        == shape_of(built, [], Origin(), {})["steps"]
    )
