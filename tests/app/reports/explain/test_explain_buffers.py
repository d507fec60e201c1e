"""The chain of a conversion, both ways: from the decision to the job, its attempts and its posting, with what each
was taken on."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from app.reports.explain.chain import explain
from app.reports.explain.graph import Explained
from app.reports.explain.story import story
from domain.messages.treasury import ConversionRequest, JobChange, TreasuryDecision
from domain.outbox.kinds import CONVERSION
from domain.outbox.lifecycle import Row
from domain.templates.buffers import flow_id
from sinks.migrations import migrate
from sinks.outbox import PostgresOutbox
from tests.app.reports.audit.buffers import fill_buffers, played, requests
from tests.app.surroundings import open_database
from tests.treasury_words import USDC

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """Books and records of buffers in which one provider failed and another converted."""
    with open_database(server) as dsn:
        migrate(dsn)
        fill_buffers(dsn)
        for request, words in requests():
            with closing(PostgresOutbox(dsn, partial(int, request.as_of))) as outbox:
                outbox.reserve(request)
                for state, filled, sequence in words:
                    row = Row(CONVERSION, request, state, request.as_of, filled=filled, sequence=sequence)
                    outbox.record(row, request.as_of)
        yield dsn


def told(dsn: str, name: str) -> Explained:
    """The chain of one id."""
    return explain(dsn, {}, name)


def kinds(explained: Explained) -> set[str]:
    """What is told."""
    return {node.kind for node in explained.nodes}


def converted() -> JobChange:
    """The last word on a job that the second provider has done."""
    return next(one for one in reversed(played().of(JobChange)) if one.state == "completed" and one.attempt == 2)


def test_a_job_is_told_with_its_whole_chain(books: str) -> None:
    """Its decision before it, its two attempts and its posting after it, by its key and by what its provider calls it."""
    job = converted()
    explained = told(books, job.job_id)
    assert {"decision", "job", "conversion", "transaction"} <= kinds(explained)
    words = {(edge.start[0], edge.word, edge.end[0]) for edge in explained.edges}
    assert ("decision", "orders", "job") in words
    assert ("job", "is asked of a provider as", "conversion") in words
    assert ("conversion", "is booked as", "transaction") in words
    text = story(explained)
    assert "nearest change: " in text
    assert "position = posted + on its way − promised = " in text
    assert "attempt 1 at due" in text
    assert job.provider_tx_id is not None
    assert ["job"] == [kind for kind, _ in told(books, job.provider_tx_id).asked]


def test_every_conversion_and_every_decision_is_told(books: str) -> None:
    """Each id that a person may have leads to a story."""
    asked = [one.client_conversion_id for one in played().of(ConversionRequest)]
    decided = [one.id for one in played().of(TreasuryDecision)]
    for name in (*asked, *decided):
        assert story(told(books, name))
    assert {"conversion"} <= kinds(told(books, asked[0]))


def test_a_flow_is_found_by_its_own_id(books: str) -> None:
    """As whoever told it calls it."""
    assert ("transaction", flow_id("w3")) in told(books, "w3").asked
    assert USDC in story(told(books, "w3")) or "SYSTEM_BUFFER_USDC" in story(told(books, "w3"))
