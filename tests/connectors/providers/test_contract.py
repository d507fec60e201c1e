"""One table of behaviours over all ways to a provider: in this process, and by each dialect over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from connectors.answers import NotFound, Refused, Unknown
from connectors.providers.due import DueProvider
from connectors.providers.http import HttpProvider
from connectors.providers.port import Provider, Unreadable
from connectors.providers.simulated.http_api import Guard, application
from connectors.providers.simulated.in_process import InProcessProvider
from connectors.providers.zerohash import ZerohashProvider
from domain.messages.treasury import ConversionRequest
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import NO_FAULTS, ProviderFaults
from domain.simulated.provider_terms import ProviderTerms
from domain.treasury.conversion import ConversionState
from tests.connectors.providers import dialects
from tests.connectors.providers.asking import cancel, client_id, conversion, off_ramp

NEVER_MS = 2**40
ALL = 10**6
ACCOUNTS = {
    "system_buffer_usdc": "wlt_1",
    "system_buffer_fiat": "rcp_1",
    "broker_operational": "rcp_2",
    "webhook_endpoint": "whk_1",
}


class Way(NamedTuple):
    """A way to a simulated provider, and the provider itself, with a clock that only the test turns."""

    kind: str
    provider: Provider
    truth: SimulatedProvider
    wait: Callable[[int], None]

    def said(self) -> list[str]:
        """The words that are told from the beginning on."""
        words = self.provider.changes(0, 500)
        assert not [word for word in words if isinstance(word, Unreadable)]
        return [word.state for word in words if isinstance(word, ConversionState)]


Start = Callable[..., Way]


@pytest.fixture(params=["in process", "http", "due", "zerohash"])
def way(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Opens a way of one kind to a provider with given faults."""
    with ExitStack() as stack:

        def start(faults: ProviderFaults = NO_FAULTS) -> Way:
            times = [10**9]
            truth = SimulatedProvider(ProviderTerms(eta_ms=1_000), 1, faults)
            road = InProcessProvider(truth, lambda: times[-1])
            provider = _opened(request.param, road, stack)
            stack.callback(provider.close)
            return Way(request.param, provider, truth, lambda ms: times.append(times[-1] + ms))

        yield start


def _opened(kind: str, road: InProcessProvider, stack: ExitStack) -> Provider:
    if kind == "http":
        url = stack.enter_context(dialects.served(application(road, Guard("us", "secret", road.clock))))
        return HttpProvider(url, "us", "secret", clock=road.clock)
    if kind == "due":
        url = stack.enter_context(dialects.served(dialects.due(road)))
        return DueProvider(url, dialects.DUE_ACCOUNT, dialects.API_KEY, ACCOUNTS, clock=road.clock)
    if kind == "zerohash":
        url = stack.enter_context(dialects.served(dialects.zerohash(road)))
        return ZerohashProvider(url, "zh-key", dialects.ZEROHASH_SECRET, "open sesame", "PLAT01", clock=road.clock)
    return road


@pytest.mark.parametrize("asked", [conversion(1), off_ramp(1, 2_000_000_000)])
def test_a_conversion_completes(way: Start, asked: ConversionRequest) -> None:
    """It is under way, then done, with the amounts that moved; the list of words, the statement and a quote say the same."""
    one = way()
    quote = one.provider.quote(asked.source_currency, asked.destination_currency, asked.amount)
    assert "processing" == one.provider.convert(asked, NEVER_MS).state
    one.wait(1_000)
    state, truth = one.provider.conversion(client_id(1)), one.truth.changes[-1]
    figures = (
        "client_conversion_id",
        "provider_tx_id",
        "state",
        "source_amount",
        "destination_amount",
        "fee_amount",
        "rate",
    )
    assert truth.model_dump(include=set(figures)) == state.model_dump(include=set(figures))
    assert one.truth.conversions[client_id(1)].quote == quote
    assert "completed" == one.said()[-1]
    lines = one.provider.statement(0, NEVER_MS)
    assert [(line.currency, line.amount) for line in one.truth.lines] == [(line.currency, line.amount) for line in lines]
    assert [] == list(one.provider.statement(0, 10**9))


def test_the_same_request_is_carried_out_once(way: Start) -> None:
    """However often it is sent it is one conversion, and each answer is about that one."""
    one = way()
    names = {one.provider.convert(conversion(1), NEVER_MS).provider_tx_id for _ in range(3)}
    one.wait(1_000)
    names.add(one.provider.convert(conversion(1), NEVER_MS).provider_tx_id)
    assert (1, 1) == (len(names), len(one.truth.conversions))


def test_an_unknown_id_is_not_found(way: Start) -> None:
    """Also when others are known."""
    one = way()
    one.provider.convert(conversion(1), NEVER_MS)
    with pytest.raises(NotFound):
        one.provider.conversion(client_id(2))
    with pytest.raises(NotFound):
        one.provider.ask_cancel(cancel(2))


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (ProviderFaults(refuse_now_ppm=ALL), "temporarily_unavailable"),
        (ProviderFaults(refuse_for_good_ppm=ALL), "amount_invalid"),
    ],
)
def test_a_definite_no_is_a_refusal(way: Start, faults: ProviderFaults, code: str) -> None:
    """With the provider's own code, and nothing is known of the request afterwards."""
    one = way(faults)
    with pytest.raises(Refused) as refused:
        one.provider.convert(conversion(1), NEVER_MS)
    assert code == refused.value.code
    with pytest.raises(NotFound):
        one.provider.conversion(client_id(1))


@pytest.mark.parametrize(("fault", "is_there"), [("answer_lost_ppm", True), ("request_lost_ppm", False)])
def test_a_lost_answer_leaves_the_fate_unknown(way: Start, fault: str, is_there: bool) -> None:
    """Only a question tells whether it was carried out."""
    one = way(ProviderFaults(**{fault: ALL}))
    with pytest.raises(Unknown):
        one.provider.convert(conversion(1), NEVER_MS)
    if is_there:
        assert "processing" == one.provider.conversion(client_id(1)).state
    else:
        with pytest.raises(NotFound):
            one.provider.conversion(client_id(1))


def test_a_late_completion_is_in_the_list_of_words(way: Start) -> None:
    """What had failed completes after all, and whoever reads on hears both."""
    one = way(ProviderFaults(fail_ppm=ALL, late_ppm=ALL, late_ms=5_000))
    one.provider.convert(conversion(1), NEVER_MS)
    one.wait(1_000)
    assert "failed" == one.said()[-1]
    assert one.provider.conversion(client_id(1)).error
    newest = one.truth.changes[-1]
    one.wait(5_000)
    words = one.provider.changes(newest.at_ms if one.kind in ("due", "zerohash") else newest.sequence, 500)
    assert ["completed"] == [word.state for word in words if isinstance(word, ConversionState)]


def test_words_come_in_pages(way: Start) -> None:
    """A list of words is read on from the newest one, and nothing is missing in the end."""
    one = way()
    for number in range(7):
        one.provider.convert(conversion(number), NEVER_MS)
        one.wait(10)
    one.wait(1_000)
    heard, sequence = {}, 0
    while words := one.provider.changes(sequence, 3):
        assert len(words) <= 3
        sequence = max(sequence, *(word.sequence for word in words))
        heard |= {word.client_conversion_id: word.state for word in words if isinstance(word, ConversionState)}
    assert {client_id(number): "completed" for number in range(7)} == heard


def test_nothing_is_answered_while_it_is_down(way: Start) -> None:
    """Every question and every request is of unknown fate then."""
    one = way(ProviderFaults(down_ppm=ALL))
    for ask in (
        lambda: one.provider.convert(conversion(1), NEVER_MS),
        lambda: one.provider.conversion(client_id(1)),
        lambda: one.provider.cancel(cancel(1), NEVER_MS),
        lambda: one.provider.changes(0, 10),
        lambda: one.provider.quote("USD", "USDC", 100),
        lambda: one.provider.statement(0, NEVER_MS),
    ):
        with pytest.raises(Unknown):
            ask()


def test_a_cancel_that_comes_in_time(way: Start) -> None:
    """It is let go of, and a question says so again; whoever lets go of nothing refuses, and goes on."""
    one = way()
    one.provider.convert(conversion(1), NEVER_MS)
    if one.kind in ("due", "zerohash"):
        with pytest.raises(Refused, match="cancel_unsupported"):
            one.provider.cancel(cancel(1), NEVER_MS)
        one.truth.cancel(cancel(1), NEVER_MS, 0)
    else:
        assert "accepted" == one.provider.cancel(cancel(1), NEVER_MS).state
    assert "accepted" == one.provider.ask_cancel(cancel(1)).state
    assert "cancelled" == one.provider.conversion(client_id(1)).state


def test_a_cancel_that_comes_too_late(way: Start) -> None:
    """What is done is done."""
    one = way()
    one.provider.convert(conversion(1), NEVER_MS)
    one.wait(1_000)
    assert "too_late" == one.provider.cancel(cancel(1), NEVER_MS).state
    assert "too_late" == one.provider.ask_cancel(cancel(1)).state
