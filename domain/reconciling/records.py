"""Where statements and what came of them are kept, as a port: Postgres has it in `sinks/reconciling.py`, memory below.

A comparison depends on what the books had when it was made. So it is recorded, and one that is made again under the same id
tells what it told then.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from domain.messages.recon import ReconException, ReconReport, Statement
from domain.reconciling.breaks import Evidence, Outcome, changes
from domain.reconciling.items import Scope
from domain.reconciling.rules import Rules


class How(NamedTuple):
    """How to compare: the rules of each account, and how far back."""

    rules_of: Callable[[Scope], Rules]
    memory_ms: int


class Told(NamedTuple):
    """What a comparison tells: its report, and the breaks that are new, changed or closed."""

    report: ReconReport
    exceptions: Sequence[ReconException]


class Records(Protocol):
    """Statements, comparisons and breaks; durable when a call returns."""

    def keep(self, told: Statement) -> str | None:
        """Keep a statement; one that is known changes nothing. Return why it is refused, None when it is kept."""
        ...

    def scopes(self) -> Sequence[Scope]:
        """Return all that there are statements of, in order."""
        ...

    def evidence(self, scope: Scope, rules: Rules, memory_ms: int) -> Evidence:
        """Return what is to be compared: statements that end within `memory_ms` of the newest, and the books beside them."""
        ...

    def record(self, outcome: Outcome, scope: Scope) -> Told:
        """Record a comparison, once; return what it tells."""
        ...


def refusal(told: Statement, others: Sequence[Statement]) -> str | None:
    """Return why a statement cannot stand beside others of its scope, None when it can, or is there already."""
    for other in others:
        if other.statement_id == told.statement_id:
            return (
                None
                if other == told
                else f"statement {told.statement_id} was told before with another content, which stands"
            )
    for other in others:
        if told.since < other.until and other.since < told.until:
            return f"statement {told.statement_id} covers time that {other.statement_id} covers, which stands"
    return None


def remembered(statements: Sequence[Statement], memory_ms: int) -> list[Statement]:
    """Return the statements that are compared, in the order of their periods."""
    newest_ms = max(told.until for told in statements)
    return sorted((told for told in statements if told.until > newest_ms - memory_ms), key=lambda told: told.since)


def scope_of(told: Statement) -> Scope:
    """Return what a statement is one of."""
    return Scope(told.source, told.account, told.currency)


class MemoryRecords:
    """Records that end with the process; `books` answers with entries and the balance at a time."""

    def __init__(self, books: Callable[[Scope, int, int], Evidence]) -> None:
        self._books = books
        self.statements: list[Statement] = []
        self.told: dict[str, Told] = {}
        self.open: dict[Scope, dict[str, ReconException]] = {}

    def keep(self, told: Statement) -> str | None:
        others = [one for one in self.statements if scope_of(one) == scope_of(told)]
        refused = refusal(told, others)
        if refused is None and told not in others:
            self.statements.append(told)
        return refused

    def scopes(self) -> Sequence[Scope]:
        return sorted({scope_of(told) for told in self.statements})

    def evidence(self, scope: Scope, rules: Rules, memory_ms: int) -> Evidence:
        statements = remembered([told for told in self.statements if scope_of(told) == scope], memory_ms)
        found = self._books(scope, statements[0].since - rules.window_ms, statements[-1].until)
        return found._replace(statements=statements)

    def record(self, outcome: Outcome, scope: Scope) -> Told:
        report = outcome.report
        if report.report_id not in self.told:
            changed = changes(self.open.get(scope, {}), outcome.exceptions, report)
            self.told[report.report_id] = Told(report, changed)
            self.open[scope] = {one.break_id: one for one in outcome.exceptions}
        return self.told[report.report_id]
