"""What providers say that they moved, compared with the books, and which jobs wait for their posting in vain.

Statements are read from the providers themselves, as they are configured now, and the books as of one moment after that: so what
a provider has done meanwhile is on neither side, and what is booked meanwhile is on both.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from connectors.answers import Unknown
from connectors.providers.port import Provider
from domain.messages.provider import ProviderConfig
from domain.reconciling.breaks import severity_of
from domain.reconciling.rules import BOUNDS
from domain.templates.buffers import account_of_buffer
from domain.treasury.agreement import Agreement, Break, Movement, agree
from domain.treasury.conversion import StatementLine
from domain.treasury.stale import is_orphan
from domain.treasury.worth import BUFFERS, CURRENCY_OF
from sinks.ledger.export import snapshot
from sinks.postgres import Connection, connect
from sinks.queries import ask
from sinks.treasury import PostgresTreasury

Report = dict[str, Any]
EVER_MS = 2**45
CURRENCY: Mapping[str, str] = {account_of_buffer(name): CURRENCY_OF[name] for name in BUFFERS}


def read_agreement(dsn: str, open_provider: Callable[[ProviderConfig], Provider], stuck_seconds: int) -> Report:
    """Return for each provider what agrees, what is in transit and what is broken; and the jobs that miss their posting."""
    statements, silent = _statements(dsn, open_provider)
    with connect(dsn, "reader", "treasury reconcile") as connection, snapshot(connection):
        asked = {row["client_id"]: row for row in ask(connection, "treasury_asked")}
        booked = _booked(connection)
        jobs = ask(connection, "treasury_unbooked_jobs")
    under_way = {name for name, row in asked.items() if row["is_under_way"]}
    providers = [
        _provider(name, agree(_told(lines, asked), booked.get(name, []), under_way))
        for name, lines in sorted(statements.items())
    ]
    orphans = [row for row in jobs if is_orphan(row["state"], row["age_seconds"], stuck_seconds, is_booked=False)]
    return {
        "providers": providers,
        "silent": silent,
        "orphans": [{name: row[name] for name in ("job_id", "state", "provider", "age_seconds")} for row in orphans],
        "agrees": not silent and not orphans and not any(one["breaks"] for one in providers),
    }


def _statements(
    dsn: str, open_provider: Callable[[ProviderConfig], Provider]
) -> tuple[dict[str, Sequence[StatementLine]], list[str]]:
    """Return what each provider says, and who says nothing."""
    statements, silent = dict[str, Sequence[StatementLine]](), list[str]()
    with ExitStack() as stack:
        for config in stack.enter_context(closing(PostgresTreasury(dsn))).configs():
            try:
                provider = stack.enter_context(closing(open_provider(config)))
                statements[config.provider] = provider.statement(0, EVER_MS)
            except Unknown:
                silent.append(config.provider)
    return statements, silent


def _told(lines: Sequence[StatementLine], asked: Mapping[str, Any]) -> Iterator[Movement]:
    """What a provider took and gave, by the account that it was asked for; of what nobody has asked for by its currency alone."""
    for line in lines:
        row = asked.get(line.client_conversion_id)
        buffer = None if row is None else row["source" if line.amount < 0 else "destination"]
        account = line.currency if buffer is None else account_of_buffer(buffer)
        yield Movement(account, line.client_conversion_id, line.provider_tx_id, line.amount)


def _booked(connection: Connection) -> dict[str, list[Movement]]:
    found: dict[str, list[Movement]] = {}
    for row in ask(connection, "treasury_converted", {"accounts": [*CURRENCY]}):
        movement = Movement(row["account"], row["client_id"], row["provider_tx_id"], int(row["amount"]))
        found.setdefault(row["provider"], []).append(movement)
    return found


def _provider(name: str, found: Agreement) -> Report:
    return {
        "provider": name,
        "agreed": found.agreed,
        "in_transit": [one._asdict() for one in found.in_transit],
        "breaks": [_break(one) for one in found.breaks],
    }


def _break(one: Break) -> Report:
    currency = CURRENCY.get(one.account, one.account)
    return {**one._asdict(), "currency": currency, "severity": severity_of(one.amount, 0, BOUNDS[currency])}


def agreement_text(report: Report) -> str:
    """Return it for a person: a line per provider, and one for each thing that somebody has to look at."""
    lines = []
    for one in report["providers"]:
        kinds = Counter(found["kind"] for found in one["breaks"])
        broken = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in sorted(kinds.items())) or "no break"
        lines.append(f"{one['provider']}: {one['agreed']} lines agree, {len(one['in_transit'])} in transit, {broken}")
        lines += [
            f"  {found['severity']}: {found['kind'].replace('_', ' ')}, {found['amount']} minor units of {found['currency']}"
            f" on {found['account']}, {found['client_id']} ({found['provider_tx_id']})"
            for found in one["breaks"]
        ]
    lines += [f"{name} does not answer, so nothing is known of it" for name in report["silent"]]
    lines += [f"{one['job_id']} is {one['state']} for {one['age_seconds']} s, and not booked" for one in report["orphans"]]
    return "".join(f"{line}\n" for line in lines) or "no provider is known yet\n"
