"""Prometheus metrics: the numbers of `ballast status`, read anew at every scrape.

They come from the ledger, the records and the topics, not from counters in a worker, so they are right after a restart and
the same whoever serves them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.places.places import Places
from app.reports.status import read_status
from domain.errors import ConfigError

NUMBERS = {
    "trades": "user trades booked and not reversed",
    "transactions": "transactions in the ledger",
    "postings_rejected": "postings that the ledger rejected",
    "postings_not_booked": "those of them that nobody has booked since",
    "postings_in_conflict": "postings whose id came with another body",
    "liability_cents": "what users are owed",
    "exposure_cents": "what the exchange holds, negative when short",
    "suspense_cents": "what was executed there and no order of ours explains",
    "hedge_ratio": "the short over the liability",
    "collateral_sats": "equity of the trading account",
    "funding_sats": "the buffer beside it",
    "leverage": "exposure over collateral",
    "price_age_ms": "how old the last price is",
    "decisions": "decisions recorded",
    "archive_age_seconds": "how old the newest moment is that an archive has",
}
FAMILIES = {
    "orders": "state",
    "transfers": "state",
    "quarantined": "topic",
    "messages": "topic",
    "holds": "rule",
    "books_less_exchange": "of",
    "breaks": "severity",
    "breaks_oldest_seconds": "severity",
    "alerts_hour": "subject",
}
BUFFER = ("posted", "in_flight", "reserved", "available", "position", "min", "target", "max")
"""Amounts of a buffer, in minor units of its currency."""

STATUSES = ("CRITICAL_LOW", "BELOW_TARGET", "HEALTHY", "OVER_CAPITALIZED")
PROVIDER = {
    "is_healthy": "1 where a provider may be asked, by how its last conversions ended",
    "successes": "how many of its last conversions succeeded",
    "failures": "how many of them failed",
    "daily_used_cents": "what it has converted today",
}
SYMBOL = {
    "settled": "trades of a symbol that are settled",
    "refused": "trades of a symbol that were refused",
    "last_sequence": "the last number of a symbol that is settled",
    "behind": "how many numbers the newest trade of a symbol is ahead of the last one that had its turn",
}
SETTLEMENT = {
    "open_orders": "orders of customers that are open",
    "trades_waiting": "trades that wait for one that is missing or broken",
}
STEPS = {
    "behind_ms": "stream time that a step has not passed yet",
    "silent_ms": "how long ago a step said last how far it has come",
    "late": "records that came to a step after their instant had passed",
    "held": "records that wait in a step for slower sources",
}
WAITING = {
    "count": "legs without their other half",
    "worth_cents": "what they are worth together",
    "oldest_seconds": "how long the oldest has waited",
}


class StatusCollector(Collector):
    """Reads the status when it is asked."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All metrics, from one look."""
        return metrics(read_status(self._places))


def metrics(status: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    """The numbers of a status as metrics; what is not known is left out."""
    for name, about in NUMBERS.items():
        if status[name] is not None:
            yield GaugeMetricFamily(f"ballast_{name}", about, value=float(status[name]))
    for name, about in WAITING.items():
        yield GaugeMetricFamily(f"ballast_waiting_legs_{name}", about, value=status["waiting_legs"][name])
    for name, label in FAMILIES.items():
        yield _by(name, f"{name} by {label}", label, status[name])
    for name, about in STEPS.items():
        family = GaugeMetricFamily(f"ballast_{name}", about, labels=["step"])
        for step, report in status["steps"].items():
            family.add_metric([step], report[name])
        yield family
    ages = GaugeMetricFamily("ballast_fact_age_ms", "how old the last word on something is", labels=["fact", "of"])
    for fact in status["facts"]:
        ages.add_metric([fact["fact"], fact["of"]], fact["age_ms"])
    yield ages
    yield from treasury_metrics(status["treasury"])
    yield from settlement_metrics(status["settlement"])


def treasury_metrics(treasury: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    """The numbers of buffers, conversions and providers."""
    amounts = GaugeMetricFamily("ballast_buffer", "amounts of a buffer in minor units", labels=["buffer", "of"])
    statuses = GaugeMetricFamily("ballast_buffer_status", "1 for the status that a buffer has", labels=["buffer", "status"])
    for row in treasury["buffers"]:
        for name in BUFFER:
            amounts.add_metric([row["buffer"], name], row[name])
        for status in STATUSES:
            statuses.add_metric([row["buffer"], status], status == row["status"])
    yield from (amounts, statuses, _by("jobs", "conversion jobs by state", "state", treasury["jobs"]))
    day = {"completed": treasury["day"]["completed"], "failed": treasury["day"]["failed"]}
    yield _by("conversions_day", "conversions that ended within a day", "outcome", day)
    if treasury["day"]["average_seconds"] is not None:
        about = "from a job's creation to its completion, on average within a day"
        yield GaugeMetricFamily("ballast_conversion_seconds", about, value=treasury["day"]["average_seconds"])
    yield GaugeMetricFamily(
        "ballast_stale_jobs", "jobs that are with their provider for too long", value=treasury["stale_jobs"]
    )
    for name, about in PROVIDER.items():
        told = {row["provider"]: row[name] for row in treasury["providers"]}
        yield _by(f"provider_{name}", about, "provider", told)
    degraded = {row["provider"]: row["status"] == "degraded" for row in treasury["providers"]}
    yield _by("provider_is_degraded", "1 for one that is asked only when nobody else is left", "provider", degraded)


def settlement_metrics(settlement: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    """The numbers of symbols, of what was refused, and of what waits."""
    for name, about in SYMBOL.items():
        told = {row["symbol"]: row[name] or 0 for row in settlement["symbols"]}
        yield _by(f"symbol_{name}", about, "symbol", told)
    yield _by("trades_refused", "matched trades that were refused", "reason", settlement["refused"])
    about = "postings of the settlement that the books refused, or have with another body"
    yield _by("settlement_not_booked", about, "outcome", settlement["not_booked"])
    for name, about in SETTLEMENT.items():
        yield GaugeMetricFamily(f"ballast_{name}", about, value=settlement[name])


def _by(name: str, about: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"ballast_{name}", about, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


@contextmanager
def served(places: Places, host: str, port: int | None) -> Iterator[None]:
    """Serve metrics while the block lasts; nothing without a port. ConfigError when somebody else has it."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(places))
    with exposed(registry, host, port):
        yield


@contextmanager
def exposed(registry: CollectorRegistry, host: str, port: int | None) -> Iterator[None]:
    """Serve what a registry has while the block lasts; nothing without a port. ConfigError when somebody else has it."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        msg = f"run.metrics_port {port} of {host} cannot be used: {error.strerror}; choose another, or stop whoever has it"
        raise ConfigError(msg) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
