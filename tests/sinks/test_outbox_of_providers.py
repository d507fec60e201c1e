"""The gateway over the stored outbox: several providers side by side, one connection, a restart in the middle."""

from collections.abc import Iterator, Sequence

import pytest

from connectors.clock import now_ms
from connectors.providers.gateway import START, Cursor, ProvidersGateway
from connectors.providers.simulated.in_process import InProcessProvider
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.messages.provider import ConversionReport, ProviderEvent
from domain.outbox.slots import Reserved
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_terms import Account, ProviderTerms
from sinks.outbox import PostgresOutbox
from tests.connectors.providers.asking import config, conversion
from tests.waiting import until

pytestmark = pytest.mark.postgres

NAMES = ("one", "other", "third")


@pytest.fixture
def outbox(dsn: str) -> Iterator[PostgresOutbox]:
    """The store over a fresh database, for who reserves."""
    store = PostgresOutbox(dsn, now_ms)
    yield store
    store.close()


def test_providers_are_dealt_with_side_by_side(dsn: str, outbox: PostgresOutbox) -> None:
    """Nine conversions at three providers complete over a restart, and a gateway without memory tells the same again."""
    truths = {name: SimulatedProvider(ProviderTerms(eta_ms=300), 1, account=Account(name=name)) for name in NAMES}

    def started(cursor: Cursor) -> ProvidersGateway:
        roads = {name: InProcessProvider(truth, now_ms) for name, truth in truths.items()}
        configs = [config(name) for name in NAMES]
        store = PostgresOutbox(dsn, now_ms)
        return ProvidersGateway(lambda: configs, lambda one: roads[one.provider], store, now_ms, cursor=cursor)

    for number in range(9):
        asked = conversion(number, at_ms=now_ms(), provider=NAMES[number % 3])
        assert isinstance(outbox.reserve(asked), Reserved)
    gateway = started(START)
    told = gateway.round()
    first: list[Message] = list(told.told)
    gateway.close()
    gateway = started(told.cursor)
    until(lambda: first.extend(gateway.round().told) is None and len(ends(first)) == 9, "nine conversions")
    gateway.close()
    gateway = started(START)
    again = gateway.round().told
    gateway.close()
    assert sorted(map(repr, of(first))) == sorted(map(repr, of(again)))
    assert [] == [message for message in first if isinstance(message, Alert)]


def ends(told: Sequence[Message]) -> list[str]:
    """The reports of conversions that have completed."""
    reports = [message for message in told if isinstance(message, ConversionReport)]
    return [report.client_conversion_id for report in reports if report.state == "completed"]


def of(told: Sequence[Message]) -> list[Message]:
    """What was told of requests and by providers."""
    return [message for message in told if isinstance(message, ConversionReport | ProviderEvent)]
