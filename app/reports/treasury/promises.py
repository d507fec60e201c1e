"""Checks what the treasury promises against what is left, independently of the flow that kept it.

    T1 conserved       the books of each buffer are what flowed, as the topic tells it, and what providers really moved
    T2 paid once       no job was carried out twice, and each has a key of its own
    T3 booked          every conversion at a provider has its posting, to the minor unit, and every posting its conversion
    T4 jobs            a job is completed when its posting is in the ledger, and only then

An archive is judged by the same names in `sql/audit`, which has two more: T5 decided, that each decision about a buffer follows
from its inputs and is carried out by its jobs, and T6 asked, that each request to a provider belongs to a job that somebody
decided, told or approved.

Flows are read again from their topic, what providers moved from their own statements, and the books by SQL.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

from app.places.places import Places
from app.reports.said import said
from connectors.kafka.peek import Peek
from connectors.providers.port import Provider
from domain.messages.provider import ProviderConfig
from domain.templates.buffers import account_of_buffer
from domain.topics import TREASURY_FLOWS
from domain.treasury.conversion import StatementLine
from domain.treasury.worth import BUFFERS
from sinks.postgres import Connection, connect
from sinks.treasury import PostgresTreasury

EXAMPLES_MAX = 5
EVER_MS = 2**45

POSTED = """
SELECT t.meta ->> 'provider', t.meta ->> 'client_id', t.meta ->> 'provider_tx_id', t.meta ->> 'job_id', a.code, e.amount * e.side
FROM ledger.tx t JOIN ledger.entry e USING (tx_id) JOIN ledger.account a USING (account_id)
WHERE t.template IN ('CONVERSION', 'BUFFER_TRANSFER') AND a.code = ANY (%s)
"""
SETTLED = """
SELECT a.code, b.settled_debit - b.settled_credit FROM ledger.balance b JOIN ledger.account a USING (account_id)
WHERE a.code = ANY (%s)
"""
FLOWS_BOOKED = """
SELECT t.meta ->> 'flow', a.code, e.amount * e.side
FROM ledger.tx t JOIN ledger.entry e USING (tx_id) JOIN ledger.account a USING (account_id)
WHERE t.template IN ('BUFFER_FLOW', 'REVERT_BUFFER_FLOW') AND a.code = ANY (%s)
"""
SAID_COMPLETED = """
SELECT job_id, told_state, is_booked FROM treasury.v_conversion_jobs WHERE (told_state = 'completed') IS DISTINCT FROM is_booked
"""
ASKED = """
SELECT client_id, body ->> 'job_id', body ->> 'source', body ->> 'destination' FROM treasury.request WHERE kind = 'conversion'
"""

Done = tuple[str, str]
"""Our id of an attempt, and the provider's name for what it did."""


class Evidence(NamedTuple):
    """Where to look, and what each provider says that it has moved."""

    connection: Connection
    peek: Peek
    statements: Mapping[str, Sequence[StatementLine]]


def check_treasury(places: Places, open_provider: Callable[[ProviderConfig], Provider]) -> dict[str, list[str]]:
    """Breaches by promise, a few sentences each; an empty list is a pass."""
    with ExitStack() as stack:
        peek = stack.enter_context(closing(Peek(places.kafka)))
        connection = stack.enter_context(connect(places.dsn, "reader", "treasury promises"))
        configs = stack.enter_context(closing(PostgresTreasury(places.dsn))).configs()
        providers = {one.provider: stack.enter_context(closing(open_provider(one))) for one in configs}
        statements = {name: provider.statement(0, EVER_MS) for name, provider in providers.items()}
        evidence = Evidence(connection, peek, statements)
        return {name: list(check(evidence))[:EXAMPLES_MAX] for name, check in CHECKS.items()}


def conserved(evidence: Evidence) -> Iterator[str]:
    """T1."""
    codes = [account_of_buffer(name) for name in BUFFERS]
    held = dict.fromkeys(codes, 0) | dict(evidence.connection.execute(SETTLED, [codes]).fetchall())
    flows = {name: (code, int(amount)) for name, code, amount in evidence.connection.execute(FLOWS_BOOKED, [codes])}
    for flow in {flow.id: flow for flow in said(evidence.peek, TREASURY_FLOWS)}.values():
        told = account_of_buffer(flow.buffer), flow.amount
        if flows.get(flow.id, told) != told:
            yield f"the flow {flow.id} is told as {told}, and booked as {flows[flow.id]}"
    expected: dict[str, int] = defaultdict(int)
    for code, amount in (*flows.values(), *_moved(evidence)):
        expected[code] += amount
    for code in codes:
        if held[code] != expected[code]:
            yield f"{code} has {held[code]}; flows and what providers moved come to {expected[code]}"


def _moved(evidence: Evidence) -> Iterator[tuple[str, int]]:
    """What providers really took and gave, by the account of the buffer that it was asked for."""
    asked = {client_id: (source, destination) for client_id, _, source, destination in evidence.connection.execute(ASKED)}
    for lines in evidence.statements.values():
        for line in lines:
            source, destination = asked[line.client_conversion_id]
            yield account_of_buffer(source if line.amount < 0 else destination), line.amount


def paid_once(evidence: Evidence) -> Iterator[str]:
    """T2."""
    job_of = {client_id: job_id for client_id, job_id, *_ in evidence.connection.execute(ASKED)}
    done = {_done(line) for lines in evidence.statements.values() for line in lines}
    for job_id, n in Counter(job_of.get(client_id, f"nobody's {client_id}") for client_id, _ in done).items():
        if n > 1:
            yield f"{job_id} was carried out {n} times"


def booked(evidence: Evidence) -> Iterator[str]:
    """T3."""
    posted: dict[Done, Counter[int]] = defaultdict(Counter)
    codes = [account_of_buffer(name) for name in BUFFERS]
    for _, client_id, tx_id, _, _, amount in evidence.connection.execute(POSTED, [codes]):
        posted[client_id, tx_id][int(amount)] += 1
    moved: dict[Done, Counter[int]] = defaultdict(Counter)
    for lines in evidence.statements.values():
        for line in lines:
            moved[_done(line)][line.amount] += 1
    for name in sorted(posted.keys() | moved.keys()):
        if posted[name] != moved[name]:
            yield f"{name}: the provider moved {sorted(moved[name])}, the books {sorted(posted[name])}"


def jobs(evidence: Evidence) -> Iterator[str]:
    """T4."""
    for job_id, state, is_booked in evidence.connection.execute(SAID_COMPLETED):
        yield f"{job_id} is said to be {state}, and its posting is {'there' if is_booked else 'missing'}"


def _done(line: StatementLine) -> Done:
    return line.client_conversion_id, line.provider_tx_id


CHECKS: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "T1": conserved,
    "T2": paid_once,
    "T3": booked,
    "T4": jobs,
}
