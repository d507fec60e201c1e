"""Buffers and a settlement that somebody has to look at, for the pages that say what to ask then: each trouble once."""

from contextlib import closing

from connectors.clock import now_ms
from domain.errors import Rejection
from domain.ledger.accounts import CHART, TREASURY_SHARD
from domain.messages.ops import Alert
from domain.messages.treasury import ConversionRequest, JobChange
from domain.treasury.policy import Rules
from operators.streams.publish import outgoing
from sinks.ledger.writer import PostgresLedger
from sinks.notices import NoticeSink
from sinks.outbox import PostgresOutbox
from sinks.quarantine import QuarantineSink
from sinks.treasury import PostgresTreasury
from tests.app.reports.audit.buffers import fill_buffers, requests
from tests.sinks.ledger.product import keep
from tests.sinks.settled import refuse_posting, tell_mismatch, tell_settlement
from tests.sinks.treasury_words import booked, failed, job, life

HOUR_MS = 3_600_000
UNSIGNED = Rejection("invalid", "as_of: Field required", "provider.events", 0, 7, None, b"{}")


def tell_troubles(dsn: str) -> None:
    """Add buffers to a database that `tell_product` has filled, and then what goes wrong with them."""
    fill_buffers(dsn)
    at_ms = now_ms()
    with closing(PostgresTreasury(dsn, [Rules()])) as records:
        records.record([one.model_copy(update={"as_of": at_ms}) for one in _jobs(at_ms)])
    with closing(PostgresLedger(dsn, TREASURY_SHARD, accounts=CHART)) as ledger:
        assert ["rejected"] == [str(verdict.outcome) for verdict in ledger.post([booked("dear", 1)]).verdicts]
    alerts = [_alert(subject, at_ms) for subject in ("vote_refused", "provider_not_understood", "settlement_mismatch")]
    keep(NoticeSink(dsn).build_part("to_notices", "notices-0", None), [outgoing(alert, at_ms) for alert in alerts])
    keep(QuarantineSink(dsn).build_part("to_quarantine", "quarantine-0", None), [UNSIGNED])
    asked: ConversionRequest = next(request for request, _ in requests() if request.provider == "due")
    with closing(PostgresOutbox(dsn, lambda: asked.as_of)) as outbox:
        outbox.reserve(asked)
    tell_settlement(dsn)
    refuse_posting(dsn)
    tell_mismatch(dsn)


def _jobs(at_ms: int) -> list[JobChange]:
    """One that is long with its provider, that waits for people, that is not booked, that came late, that failed."""
    there = {"provider": "due", "client_conversion_id": "c", "submitted_at": at_ms - HOUR_MS}
    late = [one.model_copy(update={"is_late": True}) for one in life("late", 90)]
    return [
        job("long", 1, "provider_processing", **there),
        job("asks", 1, "pending", awaits_approval=True, asked_by="anna"),
        *life("unbooked", 90),
        *late,
        *failed("failed", 5),
    ]


def _alert(subject: str, at_ms: int) -> Alert:
    return Alert(id=subject, severity="warning", subject=subject, text="look at it", as_of=at_ms)
