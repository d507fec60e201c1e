"""What came to a topic after the flows had passed is not yet anywhere, and no breach, whatever it says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import psycopg
import pytest

from app.reports.audit.judge import audit_folder
from domain.messages.facts import Correction
from domain.messages.legs import WaitingLeg
from domain.streams.records import RawMessage
from sinks.archive.snapshot import Messages, Topics, take
from tests.app.reports.audit.audited import ABOUT, NEXT_DAY_MS, open_books, topics
from tests.words import VENUE, fill, leg, position

pytestmark = pytest.mark.postgres

LATE_MS = 1_795_740_000_000
"""After the last word of the flows of the audited books, and before their snapshot."""

PASSED_MS = NEXT_DAY_MS
POSITION = "I11_the_position_is_the_sum_of_its_fills"
FORGET = Correction(topic="venue.positions", key=VENUE, why="typed", as_of=PASSED_MS).model_dump_json().encode()
NO_NUMBER = b"""{
    "id": "x", "venue": "simulated", "contracts": "many", "amount_sats": "1e400", "exposure_cents": "all", "sequence": "last",
    "funding_sats": {}, "kind": "deposit", "settlement_amount": [], "cents_per_unit": "a", "leg_id": 7, "state": null
}"""
LIVE_LEG = """
SELECT t.meta #>> '{btc_leg,id}' FROM ledger.tx t
WHERE t.template LIKE 'USER%' AND t.relation IS NULL AND NOT EXISTS (SELECT FROM ledger.tx r WHERE r.cause_tx_id = t.tx_id)
ORDER BY t.tx_id LIMIT 1
"""
SAID = (
    b"",
    b"{",
    b"\xff\xfe",
    b"[1]",
    b'"text"',
    b'{"id":"\\ud800"}',
    NO_NUMBER,
    leg("b-late").model_dump_json().encode(),
    fill(-7).model_dump_json().encode(),
    position(-70_000, sequence=10**6).model_dump_json().encode(),
)


def told_later(
    topic: str, read: Callable[[], Messages], said: Sequence[bytes], at_ms: int
) -> Iterator[tuple[tuple[str, int], RawMessage]]:
    """The messages of a topic, and after those of its first partition some more."""
    last = -1
    for (name, partition), message in read():
        last = message.offset if partition == 0 else last
        yield (name, partition), message
    for number, value in enumerate(said, 1):
        yield (topic, 0), RawMessage(last + number, at_ms + number, VENUE.encode() if number % 2 else b"\xff", value)


def with_more(said: Mapping[str, Sequence[bytes]], at_ms: int) -> Topics:
    """The topics of the audited books, with more on some of them."""
    told = {**dict.fromkeys(said, no_messages), **topics()}
    return {topic: partial(told_later, topic, read, said.get(topic, ()), at_ms) for topic, read in told.items()}


def no_messages() -> Messages:
    """A topic without any."""
    return ()


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """The DSN of the audited books."""
    with open_books(server) as dsn:
        yield dsn


def test_what_came_late_is_not_judged(books: str, tmp_path: Path) -> None:
    """Garbage, numbers that are none, a leg, a fill, a position: the verdict and every figure are as without them."""
    take(books, topics(), tmp_path / "before", ABOUT)
    take(books, with_more(dict.fromkeys(topics(), SAID), LATE_MS), tmp_path / "after", ABOUT)
    before, after = (audit_folder(tmp_path / name)["checks"] for name in ("before", "after"))
    assert [] == [check for check in after if check["verdict"] != "pass"]
    walked = {"I1_offsets_have_no_holes": len(SAID) * (len(topics()) - 2)}
    expected = {check["name"]: check["checked"] + walked.get(check["name"], 0) for check in before}
    assert expected == {check["name"]: check["checked"] for check in after}


def test_a_leg_that_has_come_back_to_wait_since_is_not_judged(books: str, tmp_path: Path) -> None:
    """Its trade was live when the books were copied, and what is said of it since is later than they are."""
    with psycopg.connect(books) as connection:
        (leg_id,) = connection.execute(LIVE_LEG).fetchone() or ("",)
    word = WaitingLeg(leg_id=leg_id, state="waiting", worth_cents=1, created_at=LATE_MS, age_seconds=0, as_of=LATE_MS)
    take(books, with_more({"legs.waiting": [word.model_dump_json().encode()]}, LATE_MS), tmp_path / "taken", ABOUT)
    assert [] == [one["name"] for one in audit_folder(tmp_path / "taken")["checks"] if one["verdict"] == "breach"]


@pytest.mark.parametrize(
    ("said", "corrections", "breached"),
    [(SAID[-1], (), [POSITION]), (SAID[-1], (FORGET,), []), (SAID[-1].replace(VENUE.encode(), b"elsewhere"), (), [])],
)
def test_a_fact_counts_that_is_ours_and_not_forgotten(
    said: bytes, corrections: Sequence[bytes], breached: list[str], books: str, tmp_path: Path
) -> None:
    """A position that somebody typed, with a sequence far ahead, is a breach until `ballast correct` has it forgotten; one of a
    venue that is not ours never is."""
    typed = {"venue.positions": [said], "facts.corrections": corrections}
    take(books, with_more(typed, PASSED_MS), tmp_path / "taken", ABOUT)
    assert breached == [one["name"] for one in audit_folder(tmp_path / "taken")["checks"] if one["verdict"] != "pass"]
