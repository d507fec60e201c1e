"""Records what the treasury says, before anybody acts on it: decisions, jobs, levels, windows, thresholds, providers.

All that comes at once is written in one transaction, one statement per table. A row is the message itself; its columns are
made of that by the database. What is told again changes nothing: evidence is there once, and of what the newest word holds an
older one is passed over.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.messages.fields import Message
from domain.messages.provider import ProviderConfig, ProviderHealth
from domain.messages.treasury import (
    BufferLevel,
    BufferThresholds,
    JobChange,
    NetSettlement,
    NetWindow,
    TreasuryDecision,
)
from domain.templates.buffers import booked_id
from domain.times import datetime_of
from domain.treasury.policy import Rules
from domain.treasury.records import Version
from domain.treasury.worth import CURRENCY_OF
from sinks.decisions import keep_policies, write_decisions
from sinks.postgres import connect

_THRESHOLDS = """
INSERT INTO treasury.threshold (body, origin) SELECT m.body, 'topic' FROM unnest(%s::jsonb[]) AS m (body)
ON CONFLICT DO NOTHING
"""
_PROVIDERS = """
INSERT INTO treasury.provider (body) SELECT m.body FROM unnest(%s::jsonb[]) AS m (body) ON CONFLICT DO NOTHING
"""
_JOBS = """
INSERT INTO treasury.conversion_job AS j (body, posting_id, created_at)
SELECT m.* FROM unnest(%s::jsonb[], %s::uuid[], %s::timestamptz[]) AS m (body, posting_id, created_at)
ON CONFLICT (job_id) DO UPDATE SET body = excluded.body, posting_id = excluded.posting_id WHERE j.sequence < excluded.sequence
"""
_JOB_CHANGES = """
INSERT INTO treasury.conversion_job_change (body, posting_id)
SELECT m.* FROM unnest(%s::jsonb[], %s::uuid[]) AS m (body, posting_id) ON CONFLICT DO NOTHING
"""


class _Newest(NamedTuple):
    """A table that keeps the newest word on each of its things, and the columns and fields that say on which."""

    table: str
    columns: str
    fields: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The statement that writes messages there."""
        return f"""
INSERT INTO treasury.{self.table} AS t (body) SELECT m.body FROM unnest(%s::jsonb[]) AS m (body)
ON CONFLICT ({self.columns}) DO UPDATE SET body = excluded.body WHERE t.as_of <= excluded.as_of AND t.body <> excluded.body
"""  # noqa: S608 - the names stand below


_NEWEST: Mapping[type[Message], _Newest] = {
    NetWindow: _Newest("net_window", "buffer, since", ("buffer", "start")),
    NetSettlement: _Newest("net_settlement", "until", ("end",)),
    BufferLevel: _Newest("buffer_level", "buffer", ("buffer",)),
    ProviderHealth: _Newest("provider_health", "provider", ("provider",)),
}
_CONFIGS = """
SELECT DISTINCT ON (provider) body::text FROM treasury.provider ORDER BY provider, as_of DESC, id DESC
"""
_KNOWN_JOBS = """
SELECT body::text FROM treasury.conversion_job
WHERE state NOT IN ('completed', 'failed', 'cancelled') OR created_at > now() - make_interval(secs => %s) ORDER BY job_id
"""
_BY_SQL = "SELECT id, body::text FROM treasury.threshold WHERE origin = 'sql' AND id > %s ORDER BY id LIMIT %s"
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A NUL in a text within JSON; a backslash and `u0000` behind it are none."""

_CHANNEL = '"treasury.threshold"'


class PostgresTreasury:
    """`domain.treasury.records.Records` in the treasury's tables; the rules that decisions name are written first."""

    def __init__(self, dsn: str, policies: Sequence[Rules] = ()) -> None:
        self._connection = connect(dsn, "executor", "treasury")
        keep_policies(self._connection, policies)

    def record(self, messages: Sequence[Message]) -> None:
        """Write down what is kept of these messages, all of it or nothing; what is not kept here is passed over."""
        with self._connection.transaction():
            write_decisions(self._connection, [one for one in messages if isinstance(one, TreasuryDecision)])
            self._write(_THRESHOLDS, _bodies(one for one in messages if isinstance(one, BufferThresholds)))
            self._write(_PROVIDERS, _bodies(one for one in messages if isinstance(one, ProviderConfig)))
            self._keep_jobs([one for one in messages if isinstance(one, JobChange)])
            for model, newest in _NEWEST.items():
                self._write(newest.statement, _bodies(_last([one for one in messages if type(one) is model], newest.fields)))

    def _keep_jobs(self, changes: Sequence[JobChange]) -> None:
        last = {one.job_id: one for one in sorted(changes, key=lambda one: one.sequence)}
        first = {one.job_id: one for one in sorted(changes, key=lambda one: -one.sequence)}
        jobs = sorted(last.values(), key=lambda one: one.job_id)
        created = [datetime_of(first[one.job_id].as_of) for one in jobs]
        self._write(_JOBS, _bodies(jobs), [posting_id(one) for one in jobs], created)
        self._write(_JOB_CHANGES, _bodies(changes), [posting_id(one) for one in changes])

    def _write(self, statement: str, *columns: Sequence[object]) -> None:
        if columns[0]:
            self._connection.execute(statement.encode(), columns)

    def configs(self) -> list[ProviderConfig]:
        """Return the newest word on each provider, by their names."""
        return [ProviderConfig.model_validate_json(body) for (body,) in self._connection.execute(_CONFIGS)]

    def jobs(self, seconds: int) -> list[JobChange]:
        """Return the newest word on each job that is open, or was ordered within so many seconds, by their keys."""
        found = self._connection.execute(_KNOWN_JOBS, [seconds])
        return [JobChange.model_validate_json(body) for (body,) in found]

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class PostgresThresholds:
    """`domain.treasury.records.Versions`: what people say of buffers by SQL."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, "executor", "thresholds")
        self._connection.execute(f"LISTEN {_CHANNEL}")

    def after(self, id_: int, limit: int) -> Sequence[Version]:
        """Return what was said by SQL with a larger id, in the order in which it was committed."""
        found = self._connection.execute(_BY_SQL, (id_, limit))
        return [Version(row[0], BufferThresholds.model_validate_json(row[1])) for row in found]

    def wait(self, seconds: float) -> None:
        """Return when something was said, after so many seconds at the latest."""
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            return

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def posting_id(change: JobChange) -> str | None:
    """Return the id of what books a job in this state; None before a provider has given the conversion a name."""
    if change.provider is None or change.client_conversion_id is None or change.provider_tx_id is None:
        return None
    currencies = CURRENCY_OF[change.source], CURRENCY_OF[change.destination]
    return booked_id(*currencies, change.provider, change.client_conversion_id, change.provider_tx_id)


def _bodies(messages: Iterable[Message]) -> list[str]:
    """Return messages as JSON that the database can keep: a NUL, which no text of its may have, is shown as a sign."""
    return [_NUL.sub(r"\1\\ufffd", message.model_dump_json()) for message in messages]


def _last(messages: Sequence[Message], fields: Sequence[str]) -> Iterable[Message]:
    """Return the last word of each thing, in the order of their names, so that two who write never wait in a circle."""
    found = {tuple(getattr(one, field) for field in fields): one for one in messages}
    return [found[key] for key in sorted(found)]
