"""The simulated exchange as a real process on loopback: it keeps what it said, whatever ends it."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import httpx
import pytest

from connectors.answers import NotFound, Refused, Unknown
from connectors.venue.simulated.client import HttpExchange
from connectors.venue.simulated.process import Market
from connectors.venue.simulated.truth_file import TruthFile
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.simulated.exchange import SimulatedExchange
from domain.simulated.exchange_terms import FUNDING_INTERVAL_MS, Terms
from domain.venue.account import Filled
from tests.connectors.served import Served, ended
from tests.waiting import PATIENCE_SECONDS, until

NEVER_MS = 2**60
BTC = 10**8
UNUSED = {"decision_id": "d", "venue": "x", "based_on_sequence": 0, "as_of": 0}
MODULE = "connectors.venue.simulated.process"
QUICK = '{"order_latency_ms": 0, "fill_interval_ms": 10, "deposit_delay_ms": 0, "withdrawal_delay_ms": 0}'


class Process(Served[HttpExchange]):
    """One exchange process with a client."""

    def __init__(self, data: Path, *options: str, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__(MODULE, f"--data={data}", f"--terms={QUICK}", *options)
        self.client = HttpExchange(self.url, timeout_seconds)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts exchanges over one file; ends those that still run."""
    running: list[Process] = []

    def one(*options: str, timeout_seconds: float = PATIENCE_SECONDS) -> Process:
        running.append(Process(tmp_path / "exchange.db", *options, timeout_seconds=timeout_seconds))
        return running[-1]

    yield one
    for process in running:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


def order(client_id: str, contracts: int) -> HedgeOrder:
    """An order; nothing of it reaches the exchange but id, action and contracts."""
    action = "sell" if contracts < 0 else "buy"
    body = {"client_order_id": client_id, "action": action, "contracts": contracts}
    return HedgeOrder.model_validate(body | UNUSED)


def transfer(client_id: str, kind: str, amount_sats: int) -> CollateralTransfer:
    """A transfer."""
    body = {"client_transfer_id": client_id, "kind": kind, "amount_sats": amount_sats}
    return CollateralTransfer.model_validate(body | UNUSED)


def funded(process: Process) -> HttpExchange:
    """A client whose account has a bitcoin in the trading pocket."""
    process.client.transfer(transfer("in", "deposit", BTC), NEVER_MS)
    until(lambda: process.client.balances().funding_sats == BTC, "the deposit")
    process.client.transfer(transfer("over", "funding_to_trading", BTC), NEVER_MS)
    return process.client


def test_it_trades_and_forgets_nothing_by_kill(start: Start) -> None:
    """Killed in the middle, it comes back with the same events, position and ids, and goes on counting."""
    first = start("--bars-per-second", "5")
    client = funded(first)
    client.place(order("o1", -100), NEVER_MS)
    until(lambda: client.order("o1").state == "filled", "the fill")
    before, position = client.events(0, 100), client.position()
    first.end(signal.SIGKILL)
    second = start("--bars-per-second", "5")
    assert list(before) == list(second.client.events(0, len(before)))
    assert (position.contracts, second.client.position().exposure_cents) == (-100, -1_000_000)
    assert second.client.order("o1").state == "filled"
    with pytest.raises(Refused, match="51016"):
        second.client.place(order("o1", -100), NEVER_MS)
    second.client.place(order("o2", 40), NEVER_MS)
    until(lambda: second.client.position().contracts == -60, "the fill")
    fills = [event.contracts for event in second.client.events(0, 1_000) if isinstance(event, Filled)]
    assert sum(fills) == -60


@pytest.mark.crash
def test_what_was_answered_survives_any_kill(start: Start) -> None:
    """Ten kills at once after an answer: every order that was answered is there afterwards."""
    for number in range(10):
        process = start("--bars-per-second", "20")
        client = funded(process) if number == 0 else process.client
        client.place(order(f"o{number}", -1), NEVER_MS)
        process.end(signal.SIGKILL)
    client = start().client
    until(lambda: client.position().contracts == -10, "ten fills")
    assert [client.order(f"o{number}").state for number in range(10)] == ["filled"] * 10


def test_it_stops_clean(start: Start) -> None:
    """Exit code 0 on SIGTERM, and the file is whole."""
    process = start()
    assert httpx.get(process.url + "/health").json()["sequence"] == 0
    assert process.end(signal.SIGTERM) == 0
    assert start().end(signal.SIGTERM) == 0


def test_refusals_and_unknown_ids_over_http(start: Start) -> None:
    """Each way to fail arrives as what it is; nonsense is refused and changes nothing."""
    process = start()
    with pytest.raises(NotFound):
        process.client.order("nobody")
    with pytest.raises(NotFound):
        process.client.transfer_state("nobody")
    with pytest.raises(Refused, match="51008"):
        process.client.place(order("o1", -5), NEVER_MS)
    with pytest.raises(Refused, match="58350"):
        process.client.transfer(transfer("t1", "withdraw", BTC), NEVER_MS)
    with pytest.raises(Refused, match="expired"):
        process.client.place(order("o1", -5), 1)
    for body in ("", "[]", '{"client_order_id": "a b"}', '{"client_order_id":"a","action":"buy","contracts":1.0}'):
        assert httpx.post(process.url + "/orders", content=body).status_code == 400
    assert httpx.get(process.url + "/events", params={"after": "x"}).status_code == 400
    assert list(process.client.events(0, 10)) == []


def test_a_lost_answer_is_unknown_and_the_order_is_there(start: Start) -> None:
    """The fault of the road: done, and not answered. Only asking tells."""
    process = start("--faults", '{"lost_after_ppm": 1000000}')
    with pytest.raises(Unknown):
        process.client.transfer(transfer("t1", "deposit", BTC), NEVER_MS)
    process.end(signal.SIGKILL)
    assert start().client.transfer_state("t1").state == "done"


def test_a_late_answer_is_unknown(start: Start) -> None:
    """An answer that takes longer than the client waits says nothing; so does a connection that breaks."""
    process = start("--faults", '{"delayed_ppm": 1000000, "delay_ms": 600000}', timeout_seconds=0.2)

    def has_arrived() -> bool:
        with pytest.raises(Unknown, match="Timeout"):
            process.client.transfer(transfer("t1", "deposit", BTC), NEVER_MS)
        return bool(httpx.get(process.url + "/health", timeout=PATIENCE_SECONDS).json()["sequence"])

    until(has_arrived, "the request, whose answer is late")
    process.end(signal.SIGKILL)
    with pytest.raises(Unknown, match="ConnectError"):
        HttpExchange(process.url).position()
    assert start().client.transfer_state("t1").state == "done"


def test_a_file_is_played_and_its_last_price_stays(start: Start, tmp_path: Path) -> None:
    """Fills happen at the price of the file, also after it has ended, and also after a restart."""
    prices = tmp_path / "bars.csv"
    prices.write_text(
        "timestamp,open,high,low,close,volume\n2024-05-01 00:00,100,110,90,105,1\n2024-05-01 00:01,105,125,105,123.5,1\n"
    )
    process = start("--prices", str(prices), "--bars-per-second", "200")
    funded(process)
    numbers = count()
    until(lambda: filled_at(process.client, next(numbers)) == Decimal("123.5"), "the end of the file")
    process.end(signal.SIGTERM)
    again = start("--prices", str(prices), "--bars-per-second", "200")
    assert Decimal("123.5") == filled_at(again.client, next(numbers))


def test_a_path_that_is_played_fast_pays_funding_fast_until_it_ends(tmp_path: Path) -> None:
    """After it time is as it is, and nothing moves by itself: a treasury can come to rest."""
    truth = SimulatedExchange(Terms(funding_interval_ms=7), 1)
    market = Market(truth, TruthFile(tmp_path / "truth.sqlite3"), 0, None)
    while_playing: list[int] = []

    def path() -> Iterator[Decimal]:
        for price_usd in map(Decimal, range(100, 110)):
            while_playing.append(truth.terms.funding_interval_ms)
            yield price_usd

    async def play() -> None:
        playing = asyncio.create_task(market.play(path(), 1_000))
        while market.ticks < 11:
            await asyncio.sleep(0)
        playing.cancel()

    asyncio.run(play())
    assert {7} == set(while_playing)
    assert FUNDING_INTERVAL_MS == truth.terms.funding_interval_ms


def filled_at(client: HttpExchange, number: int) -> Decimal:
    """Sell a contract, or buy it back, and return at which price."""
    name = f"o{number}"
    client.place(order(name, 1 if number % 2 else -1), NEVER_MS)
    until(lambda: client.order(name).state == "filled", "the fill")
    fills = [event for event in client.events(0, 1_000) if isinstance(event, Filled)]
    return fills[-1].price_usd


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--prices", "missing.csv"), 78, b"missing.csv"),
        (("--bars-per-second", "0"), 2, b"more than zero"),
        (("--terms", '{"leverage_max": 0}'), 2, b"--terms"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path: Path, options: tuple[str, ...], code: int, said: bytes) -> None:
    """What an operator has to change stands in the error, and the exit code says that restarting cannot help."""
    over = ended(MODULE, f"--data={tmp_path / 'x.db'}", *options)
    assert code == over.returncode
    assert said in over.stderr
    assert b"Traceback" not in over.stderr
