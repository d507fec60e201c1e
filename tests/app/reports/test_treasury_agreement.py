"""Statements of providers against the books: what agrees, what is in transit, and what is broken, by name and severity."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, cast

import pytest

from app.reports.treasury.agreement import agreement_text, read_agreement
from connectors.answers import Unknown
from connectors.providers.port import Provider
from domain.messages.provider import ProviderConfig
from domain.treasury.conversion import StatementLine
from sinks.migrations import migrate
from sinks.outbox import PostgresOutbox
from sinks.postgres import connect
from sinks.queries import ask
from tests.app.reports.audit.buffers import fill_buffers, requests
from tests.app.surroundings import open_database
from tests.words import START_MS

pytestmark = pytest.mark.postgres
ACCOUNTS = ["SYSTEM_BUFFER_USDC", "SYSTEM_BUFFER_FIAT", "BROKER_OPERATIONAL"]


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """Books in which one provider has converted, and the requests that it had."""
    with open_database(server) as dsn:
        migrate(dsn)
        fill_buffers(dsn)
        for request, _ in requests():
            with closing(PostgresOutbox(dsn, partial(int, request.as_of))) as outbox:
                outbox.reserve(request)
        yield dsn


def lines_of(dsn: str) -> list[StatementLine]:
    """What zerohash would say, if the books are right."""
    with connect(dsn, "reader", "test") as connection:
        booked = ask(connection, "treasury_converted", {"accounts": ACCOUNTS})
    return [
        StatementLine(
            id=f"{n}",
            at_ms=START_MS,
            currency="USDC" if row["account"] == "SYSTEM_BUFFER_USDC" else "USD",
            amount=int(row["amount"]),
            client_conversion_id=row["client_id"],
            provider_tx_id=row["provider_tx_id"],
        )
        for n, row in enumerate(booked)
    ]


class Saying:
    """A provider as far as its statement goes; None is one that does not answer."""

    def __init__(self, lines: Sequence[StatementLine] | None) -> None:
        self._lines = lines

    def statement(self, _since_ms: int, _until_ms: int) -> Sequence[StatementLine]:
        """Say it."""
        if self._lines is None:
            msg = "it is down"
            raise Unknown(msg)
        return self._lines

    def close(self) -> None:
        """Nothing to give back."""


def opening(lines: Sequence[StatementLine] | None) -> Callable[[ProviderConfig], Provider]:
    """Zerohash says these lines, everybody else none."""
    return lambda config: cast("Provider", Saying(lines if config.provider == "zerohash" else []))


def report(dsn: str, lines: Sequence[StatementLine] | None) -> dict[str, Any]:
    """What comes of comparing."""
    return read_agreement(dsn, opening(lines), 600)


def of_zerohash(found: dict[str, Any]) -> dict[str, Any]:
    """The part on the provider that has converted."""
    return next(one for one in found["providers"] if one["provider"] == "zerohash")


def test_what_is_right_agrees(books: str) -> None:
    """Every line has its entry, and a person reads so."""
    lines = lines_of(books)
    found = report(books, lines)
    assert len(lines) > 3
    assert (True, len(lines), []) == (found["agrees"], of_zerohash(found)["agreed"], of_zerohash(found)["breaks"])
    assert f"zerohash: {len(lines)} lines agree, 0 in transit, no break" in agreement_text(found)


def test_what_is_planted_is_found_and_nothing_else(books: str) -> None:
    """A line that is missing, one that nobody booked and one of another amount, each with its kind and how bad it is."""
    first, second, *rest = lines_of(books)
    strange = first.model_copy(
        update={"id": "x", "client_conversion_id": "nobody's", "amount": 5_000_000, "currency": "USD"}
    )
    found = of_zerohash(report(books, [second.model_copy(update={"amount": second.amount + 1}), *rest, strange]))
    assert len(rest) == found["agreed"]
    assert {("not_on_statement", -first.amount), ("amount", 1), ("not_in_books", 5_000_000)} == {
        (one["kind"], one["amount"]) for one in found["breaks"]
    }
    assert {"amount": "low", "not_in_books": "critical"}.items() <= {
        one["kind"]: one["severity"] for one in found["breaks"]
    }.items()


def test_what_is_under_way_is_in_transit(books: str) -> None:
    """A provider that has done what is not heard of yet owes nobody an explanation."""
    under_way = next(request for request, _ in requests() if request.provider == "due")
    line = StatementLine(
        id="t",
        at_ms=START_MS,
        currency=under_way.source_currency,
        amount=-under_way.amount,
        client_conversion_id=under_way.client_conversion_id,
        provider_tx_id="T",
    )
    found = report(books, [*lines_of(books), line])
    assert (True, [-under_way.amount]) == (found["agrees"], [one["amount"] for one in of_zerohash(found)["in_transit"]])


def test_a_provider_that_does_not_answer_is_no_break(books: str) -> None:
    """Nothing is known of it, which is said, and is not agreement."""
    found = report(books, None)
    assert (["zerohash"], False) == (found["silent"], found["agrees"])
    assert "zerohash does not answer" in agreement_text(found)
