"""Kills the treasury's worker at each step of a job, again and again, over a real ledger, broker and provider process.

Each round customers take so much that dollars are converted at once; when the job has come to a step, and a seeded moment after
that, the worker gets SIGKILL. The next one finishes that job before customers take again. In the end the provider's own record is
held against the books.
"""

import json
import random  # noqa: TID251 - seeded
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from pydantic import SecretStr

from app.cli.produce import tell
from app.settings import Data, Postgres, Provider, Settings
from app.workers.session import Session, open_session
from connectors.clock import now_ms
from connectors.providers.http import HttpProvider
from domain.messages.fields import Message
from domain.messages.provider import ProviderConfig
from domain.messages.treasury import BufferFlow, BufferName, BufferThresholds
from domain.treasury.conversion import ConversionState
from domain.treasury.policy import TreasuryPolicy
from operators.streams.publish import outgoing
from tests.app.surroundings import ended, open_database, open_folder, open_server
from tests.chaos.kill_loop import Worker, start_worker
from tests.connectors.providers.test_simulated_provider import Process
from tests.treasury_words import FIAT, USDC, units
from tests.waiting import until

POLICY = TreasuryPolicy(window_seconds=5, lateness_seconds=1, retry_seconds=1, cycle_max_cents=10**12)
MOMENT_SECONDS = 0.15
"""A worker lives at most so long after the job has come to the step."""
TAKEN = 46_000
"""Dollars; of 50,000 so few are left then that nobody waits for a window."""

STEPS: Mapping[str, str] = {
    "decided": "SELECT count(*) FROM treasury.conversion_job",
    "reserved": "SELECT count(*) FROM treasury.request WHERE kind = 'conversion'",
    "sent": "SELECT count(*) FROM treasury.request_change WHERE kind = 'conversion' AND state = 'sent'",
    "accepted": "SELECT count(*) FROM treasury.request_change WHERE kind = 'conversion' AND state = 'processing'",
    "completed": "",
    "told": "SELECT count(*) FROM treasury.conversion_job_change WHERE body ->> 'state' = 'ledger_updating'",
    "posted": "SELECT count(*) FROM ledger.tx WHERE template = 'CONVERSION'",
    "announced": "SELECT count(*) FROM treasury.conversion_job_change WHERE body ->> 'state' = 'completed'",
}
"""What grows when a job has come to a step; what is completed is asked of the provider."""

OPEN = """
SELECT (SELECT count(*) FROM treasury.conversion_job WHERE body ->> 'state' NOT IN ('completed', 'failed', 'cancelled'))
     + (SELECT count(*) FROM treasury.request WHERE finished_at IS NULL)
"""
BOOKED = """
SELECT t.meta ->> 'client_id', t.meta ->> 'provider_tx_id', t.meta ->> 'job_id' FROM ledger.tx t WHERE t.template = 'CONVERSION'
"""
JOBS = "SELECT job_id, state, client_id, received::bigint FROM treasury.conversion_job"
POSTED = (
    "SELECT coalesce(max((body ->> 'posted')::bigint), -1) FROM treasury.buffer_level WHERE buffer = 'system_buffer_usdc'"
)


class Survived(NamedTuple):
    """What was left: kills by step; what the provider carried out by our ids; what is booked; the jobs with their states."""

    kills: Mapping[str, int]
    done: Mapping[str, ConversionState]
    booked: list[tuple[str, str, str]]
    jobs: list[tuple[str, str, str, int]]
    usdc: int
    flows: int
    exit_code: int


class Rounds(NamedTuple):
    """Where the rounds are played."""

    session: Session
    log: Path
    provider: Process
    connection: "psycopg.Connection[Any]"

    def count(self, step: str) -> int:
        """How often a job has come to a step."""
        if step == "completed":
            return sum(word.state == "completed" for word in words_of(self.provider.client))
        return self.number(STEPS[step])

    def number(self, query: str) -> int:
        """The one number that a query gives."""
        row = self.connection.execute(query).fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0

    def starts(self) -> int:
        """How many workers have said that they started."""
        return self.log.read_text().count("worker.started") if self.log.exists() else 0

    def say(self, *messages: Message) -> None:
        """Put messages on their topics."""
        tell(self.session.places.kafka, [outgoing(message, now_ms()) for message in messages])

    def take(self, number: int) -> None:
        """Have customers take coins."""
        self.say(_flow(f"take {number}", USDC, -TAKEN, "withdrawal"))

    def is_settled(self) -> bool:
        """Whether the buffer is full again, and nothing is under way."""
        return self.number(OPEN) == 0 and self.number(POSTED) >= units(49_000, USDC)


def words_of(client: HttpProvider) -> list[ConversionState]:
    """Everything that the provider has said, a page at a time."""
    said: list[ConversionState] = []
    while page := [one for one in client.changes(len(said), 500) if isinstance(one, ConversionState)]:
        said += page
    return said


def survive(kills_per_step: int, seed: int) -> Survived:
    """Play all rounds; the same seed kills after the same pauses."""
    dice = random.Random(seed)
    with opened() as rounds:
        flows = 0
        for step in STEPS:
            for _ in range(kills_per_step):
                flows += 1
                _round(rounds, step, flows, dice.uniform(0, MOMENT_SECONDS))
        starts = rounds.starts()
        last = start_worker(rounds.session, rounds.log, "treasury")
        # Nothing may be left to do for it; it can be asked to stop from its start on.
        until(lambda: _lives(rounds, last) and rounds.starts() > starts, "the last worker to start")
        _settled(rounds, last)
        code = ended(last)
        done = {one.client_conversion_id: one for one in words_of(rounds.provider.client) if one.state == "completed"}
        return Survived(
            dict.fromkeys(STEPS, kills_per_step),
            done,
            rounds.connection.execute(BOOKED).fetchall(),
            rounds.connection.execute(JOBS).fetchall(),
            rounds.number(POSTED),
            flows,
            code,
        )


def _round(rounds: Rounds, step: str, number: int, moment_seconds: float) -> None:
    """Let a worker finish what the one before has left, then work on a new job until it has come to a step."""
    worker = start_worker(rounds.session, rounds.log, "treasury")
    _settled(rounds, worker)
    before = rounds.count(step)
    rounds.take(number)
    until(lambda: _lives(rounds, worker) and rounds.count(step) > before, f"a job that is {step}", 0.005)
    time.sleep(moment_seconds)
    _lives(rounds, worker)
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def _settled(rounds: Rounds, worker: Worker) -> None:
    until(lambda: _lives(rounds, worker) and rounds.is_settled(), "everything to be settled")


def _lives(rounds: Rounds, worker: Worker) -> bool:
    assert worker.poll() is None, f"a worker ended by itself with {worker.returncode}: {rounds.log.read_text()[-2000:]}"
    return True


@contextmanager
def opened() -> Iterator[Rounds]:
    """A broker, a ledger, and a provider that loses answers; buffers are funded, and everything is told."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        dsn = stack.enter_context(open_database(stack.enter_context(open_server())))
        settings = Settings(
            data=Data(folder=folder / "data"),
            postgres=Postgres(dsn=SecretStr(dsn)),
            treasury=POLICY,
            providers={"killed": Provider(key="us", secret=SecretStr("-s-"))},
        )
        session = stack.enter_context(open_session(settings, None))
        faults = json.dumps({"answer_lost_ppm": 200_000})
        provider = Process(folder / "provider.db", "--terms", '{"eta_ms": 300}', "--faults", faults)
        stack.callback(provider.end, signal.SIGTERM)
        connection = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        rounds = Rounds(session, folder / "worker.log", provider, connection)
        rounds.say(*_begun(provider.url))
        yield rounds


def _begun(url: str) -> Iterator[Message]:
    at_ms = now_ms()
    limits: dict[BufferName, tuple[int, int, int]] = {USDC: (10_000, 50_000, 100_000), FIAT: (1, 2, 10**9)}
    for name, (low, target, high) in limits.items():
        said: dict[str, Any] = {"min": units(low, name), "target": units(target, name), "max": units(high, name)}
        yield BufferThresholds(buffer=name, batch=units(1, name), by="anna", reason="kills", as_of=at_ms, **said)
    yield _config(url, at_ms)
    yield _flow("start usdc", USDC, 50_000, "funding")
    yield _flow("start fiat", FIAT, 50_000_000, "funding")


def _config(url: str, at_ms: int) -> ProviderConfig:
    said: dict[str, Any] = {"provider": "killed", "kind": "http", "url": url, "priority": 1, "status": "active"}
    said |= {"directions": ("usdc_to_usd", "usd_to_usdc"), "ticket_min_cents": 10_000, "fee_bps": "50", "eta_seconds": 1}
    return ProviderConfig.model_validate(said | {"by": "anna", "reason": "kills", "as_of": at_ms}, strict=False)


def _flow(name: str, buffer: BufferName, dollars: int, cause: str) -> BufferFlow:
    said: dict[str, Any] = {"id": name, "cause": cause, "effective_at": now_ms()}
    return BufferFlow(buffer=buffer, amount=units(dollars, buffer), **said)
