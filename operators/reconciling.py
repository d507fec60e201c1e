"""Compares accounts with their statements when it is due, in the middle of the flow: what it hands on is recorded.

The books are read and the comparison is recorded here; how things are compared stands in `domain/reconciling`.
"""

from collections.abc import Callable, Iterator

import bytewax.operators as op

from domain.ids import content_id
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.messages.recon import Statement
from domain.reconciling.breaks import Occasion, compare
from domain.reconciling.items import Scope
from domain.reconciling.records import How, Records, Told, scope_of
from domain.reconciling.schedule import Due
from domain.streams.records import Progress, Record
from operators.streams.feeds import Feed


def reconciled(name: str, due: Feed[Due], open_records: Callable[[], Records], how: How) -> Feed[Message]:
    """Do what is due; hand on alerts of what was refused, reports and breaks. `open_records` is called when the first is due."""
    opened: list[Records] = []

    def done(progress: Progress[Due]) -> Progress[Message]:
        if progress.records and not opened:
            opened.append(open_records())
        told = [
            Record(record.at_ms, record.source, record.offset, message)
            for record in progress.records
            for message in carry_out(record.value, opened[0], how)
        ]
        return Progress(progress.source, progress.watermark_ms, told, progress.gauges)

    return Feed(op.map(name, due.stream, done), due.sources)


def carry_out(due: Due, records: Records, how: How) -> Iterator[Message]:
    """Keep what came, compare what it is of, or everything, and yield what is told of it."""
    kept: set[Scope] = set()
    for told in due.statements:
        refused = records.keep(told)
        if refused is None:
            kept.add(scope_of(told))
        else:
            yield _refused(told, refused, due.at_ms)
    for scope in sorted(kept) if due.statements else records.scopes():
        report, exceptions = compare_now(scope, records, how, Occasion(due.at_ms, due.cause))
        yield report
        yield from exceptions


def compare_now(scope: Scope, records: Records, how: How, occasion: Occasion) -> Told:
    """Compare one account with what a source says of it, and record it."""
    rules = how.rules_of(scope)
    outcome = compare(scope, records.evidence(scope, rules, how.memory_ms), rules, occasion)
    return records.record(outcome, scope)


def _refused(told: Statement, why: str, at_ms: int) -> Alert:
    named = f"{told.source}/{told.statement_id}"
    text = f"a statement of {told.source} on {told.account} was not taken: {why}"
    id_ = content_id("statement_refused", named, told.account, why)
    return Alert(id=id_, severity="critical", subject="statement_refused", text=text, as_of=at_ms)
