"""The simulated provider as a real process on loopback: it keeps what it said, whatever ends it, and posts what it says."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from queue import Empty, Queue

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import now_ms
from connectors.providers.gateway import ProvidersGateway
from connectors.providers.http import HttpProvider
from connectors.providers.signing import request_signature, webhook_signature
from domain.messages.fields import Message
from domain.messages.provider import ProviderEvent
from domain.outbox.lifecycle import ExecutionPolicy
from domain.outbox.memory import MemoryReservations
from domain.treasury.conversion import ConversionState
from tests.connectors.providers.asking import cancel, client_id, config, conversion
from tests.connectors.providers.dialects import served
from tests.connectors.served import Served, ended
from tests.waiting import PATIENCE_SECONDS, until

NEVER_MS = 2**60
MODULE = "connectors.providers.simulated.process"
PATIENT = ExecutionPolicy(decision_age_max_ms=600_000, deadline_ms=600_000, ask_interval_ms=50)
QUICK = '{"eta_ms": 50}'


class Process(Served[HttpProvider]):
    """One provider's process with a client."""

    def __init__(self, data: Path, *options: str, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__(MODULE, f"--data={data}", "--key=us", "--secret=-s-", *options)
        self.client = HttpProvider(self.url, "us", "-s-", timeout_seconds)

    def completed(self, number: int) -> ConversionState:
        """Wait until a conversion has completed, and return it."""
        until(lambda: self.client.conversion(client_id(number)).state == "completed", "the conversion")
        return self.client.conversion(client_id(number))


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts providers over one file; ends those that still run."""
    running: list[Process] = []

    def one(*options: str, timeout_seconds: float = PATIENCE_SECONDS) -> Process:
        running.append(Process(tmp_path / "provider.db", *options, timeout_seconds=timeout_seconds))
        return running[-1]

    yield one
    for process in running:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


def test_it_forgets_nothing_by_kill(start: Start) -> None:
    """Killed with one conversion done and one under way, it comes back with the same words, and completes the other."""
    first = start("--terms", '{"eta_ms": 1500}')
    first.client.convert(conversion(1), NEVER_MS)
    first.completed(1)
    first.client.convert(conversion(2), NEVER_MS)
    first.client.convert(conversion(3), NEVER_MS)
    assert "accepted" == first.client.cancel(cancel(3), NEVER_MS).state
    before, lines = first.client.changes(0, 100), first.client.statement(0, NEVER_MS)
    first.end(signal.SIGKILL)
    second = start("--terms", '{"eta_ms": 1500}')
    assert (list(before), list(lines)) == (
        list(second.client.changes(0, len(before))),
        list(second.client.statement(0, NEVER_MS))[: len(lines)],
    )
    assert "accepted" == second.client.ask_cancel(cancel(3)).state
    second.completed(2)
    assert 2 == len([line for line in second.client.statement(0, NEVER_MS) if line.amount < 0])
    assert 0 == second.end(signal.SIGTERM)


def test_the_gateway_goes_on_when_its_provider_is_killed(start: Start) -> None:
    """Requests are sent to it, half of their answers are lost, it is killed and started again: each is carried out once."""
    faults = ("--terms", '{"eta_ms": 300}', "--faults", '{"answer_lost_ppm": 500000}', "--seed", "5")
    process = start(*faults)
    store = MemoryReservations(now_ms, PATIENT)
    configs = [config(url=process.url)]
    gateway = ProvidersGateway(
        lambda: configs, lambda one: HttpProvider(one.url, "us", "-s-"), store, now_ms, policy=PATIENT
    )
    gateway.round()
    for number in range(6):
        store.reserve(conversion(number, at_ms=now_ms()))
    gateway.round()
    process.end(signal.SIGKILL)
    told = list(gateway.round().told)
    again = start(*faults, "--port", str(process.port))
    until(lambda: told.extend(gateway.round().told) is None and not store.open_rows("sim"), "six conversions")
    until(lambda: told.extend(gateway.round().told) is None and len(completed(told)) == 6, "the words of all")
    gateway.close()
    lines = again.client.statement(0, NEVER_MS)
    assert {client_id(number) for number in range(6)} == {line.client_conversion_id for line in lines if line.amount < 0}
    assert 6 == len([line for line in lines if line.amount < 0])


def completed(told: Sequence[Message]) -> set[str]:
    """The conversions that the provider said have completed."""
    return {word.client_conversion_id for word in told if isinstance(word, ProviderEvent) and word.state == "completed"}


@pytest.mark.crash
def test_what_was_answered_survives_any_kill(start: Start) -> None:
    """Ten kills at once after an answer: every conversion that was answered is there afterwards, once."""
    for number in range(10):
        process = start("--terms", QUICK)
        process.client.convert(conversion(number), NEVER_MS)
        process.end(signal.SIGKILL)
    last = start("--terms", QUICK)
    names = {last.completed(number).provider_tx_id for number in range(10)}
    assert 10 == len(names)
    assert 10 == len([line for line in last.client.statement(0, NEVER_MS) if line.amount < 0])


def test_a_request_that_hangs_is_carried_out(start: Start) -> None:
    """Its answer takes longer than anybody waits, and only a question tells; a connection that breaks says nothing either."""
    process = start("--faults", '{"hang_ppm": 1000000, "hang_ms": 600000}', timeout_seconds=0.3)
    with pytest.raises(Unknown, match="Timeout"):
        process.client.convert(conversion(1), NEVER_MS)
    with closing(HttpProvider(process.url, "us", "-s-", PATIENCE_SECONDS)) as patient:
        until(lambda: len(patient.changes(0, 10)) > 0, "the request, whose answer is late")
        assert client_id(1) == patient.conversion(client_id(1)).client_conversion_id
    process.end(signal.SIGKILL)
    with closing(HttpProvider(process.url, "us", "-s-")) as client, pytest.raises(Unknown, match="ConnectError"):
        client.conversion(client_id(1))


@pytest.mark.parametrize(
    ("altered", "status"),
    [
        ({}, 404),
        ({"X-Signature": "0" * 64}, 401),
        ({"X-Signature": ""}, 401),
        ({"X-Key": "them"}, 401),
        ({"X-Nonce": "another"}, 401),
        ({"X-Timestamp": "1"}, 401),
    ],
)
def test_only_what_is_signed_by_us_is_answered(start: Start, altered: dict[str, str], status: int) -> None:
    """A forged, an altered and an old request are not, and neither is the right one when it comes again."""
    process = start()
    timestamp, target = str(now_ms() // 1000), f"/conversions/{client_id(1)}"
    signature = request_signature("-s-", "GET", target, timestamp, "n1", b"")
    headers = {"X-Key": "us", "X-Timestamp": timestamp, "X-Nonce": "n1", "X-Signature": signature} | altered
    assert [status, 401] == [httpx.get(process.url + target, headers=headers).status_code for _ in range(2)]


def test_an_old_request_is_not_answered(start: Start) -> None:
    """Signed by us, and six minutes old."""
    process = start()
    late = HttpProvider(process.url, "us", "-s-", clock=lambda: now_ms() - 360_000)
    with closing(late), pytest.raises(Refused, match="unauthorized"):
        late.convert(conversion(1), NEVER_MS)
    with pytest.raises(NotFound):
        process.client.conversion(client_id(1))


class Listener:
    """Where webhooks are posted: remembers them, and takes the first one of each word only when it comes again."""

    def __init__(self) -> None:
        self.posted: Queue[tuple[dict[str, str], bytes]] = Queue()
        self._seen: set[str] = set()

    async def hear(self, request: Request) -> Response:
        name = request.headers["webhook-id"]
        self.posted.put((dict(request.headers), await request.body()))
        is_new = name not in self._seen
        self._seen.add(name)
        return Response(status_code=503 if is_new else 200)

    def heard(self) -> list[str]:
        """The states that were posted, with a right signature."""
        states = []
        while True:
            try:
                headers, body = self.posted.get_nowait()
            except Empty:
                return states
            named = (headers["webhook-id"], headers["webhook-timestamp"])
            assert headers["webhook-signature"] == webhook_signature("whsec_c2VjcmV0", *named, body)
            states.append(ConversionState.model_validate_json(body).state)


def test_each_word_is_posted_until_it_is_taken(start: Start) -> None:
    """Signed as Standard Webhooks says, and again when it was not taken."""
    listener = Listener()
    with served(Starlette(routes=[Route("/hooks", listener.hear, methods=["POST"])])) as url:
        webhooks = ("--webhook-url", f"{url}/hooks", "--webhook-secret", "whsec_c2VjcmV0")
        process = start("--terms", QUICK, *webhooks)
        process.client.convert(conversion(1), NEVER_MS)
        process.completed(1)
        heard: list[str] = []
        until(lambda: heard.extend(listener.heard()) is None and len(heard) >= 4, "both words, twice")
        assert {"processing": 2, "completed": 2} == {state: heard.count(state) for state in heard}


@pytest.mark.parametrize(("faults", "count"), [({"webhook_lost_ppm": 10**6}, 0), ({"webhook_repeated_ppm": 10**6}, 3)])
def test_webhooks_are_lost_or_come_again(start: Start, faults: dict[str, int], count: int) -> None:
    """Polling hears all of it whatever becomes of them."""
    listener = Listener()
    with served(Starlette(routes=[Route("/hooks", listener.hear, methods=["POST"])])) as url:
        given = json.dumps(faults | {"webhook_late_ms": 10})
        options = ("--webhook-url", f"{url}/hooks", "--webhook-secret", "whsec_c2VjcmV0", "--faults", given)
        process = start("--terms", QUICK, *options)
        process.client.convert(conversion(1), NEVER_MS)
        process.completed(1)
        heard: list[str] = []
        until(lambda: heard.extend(listener.heard()) is None and len(heard) >= count, "the webhooks")
    assert ["processing", "completed"] == [word.state for word in process.client.changes(0, 10) if hasattr(word, "state")]


@pytest.mark.parametrize("options", [("--faults", "{"), ("--terms", '{"fee_bps": 1}')])
def test_a_wrong_option_is_said(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What an operator has to change stands in the error."""
    over = ended(MODULE, f"--data={tmp_path / 'x.db'}", *options)
    assert 2 == over.returncode
    assert options[0].encode() in over.stderr
