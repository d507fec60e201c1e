"""What a comparison comes to: totals, what is in transit, and breaks, each with a severity, an age and an account.

    difference = closing balance of the newest statement + in transit - balance of the books at its end

An entry that no line shows is in transit as long as the statement ends sooner after it than the rules allow: its line may
stand on the next one. A line that no entry explains is in transit until it is older than that. What is booked after the end
of the statement and meets a line of it counts as in transit, too. All else is a break:

| kind | what it is |
|---|---|
| not_in_books | a line that no entry explains |
| not_on_statement | an entry that no line shows |
| amount | lines and entries that are meant by each other and do not come to the same |
| tie | lines and entries of which nothing says which belong together |
| balance | what the difference is beyond all of these: opening balances differ, or a statement is missing |

The difference is always the sum of the breaks, of what matches differ by within their tolerance, and of what is left of the
balance within the tolerance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domain.ids import content_id
from domain.messages.recon import BreakKind, ReconException, ReconReport, Severity, Statement
from domain.reconciling.items import Entry, Line, Scope
from domain.reconciling.match import Matched, match
from domain.reconciling.rules import SEVERITIES, Bounds, Rules, severity
from domain.reconciling.taken import Match, Taken, ids, total


class Occasion(NamedTuple):
    """When a comparison is made, and why: by both it is the same one when it is made again."""

    at_ms: int
    cause: str


class Evidence(NamedTuple):
    """What is compared: statements in the order of their periods, entries from a window before the first one on, and the balance
    of the books at the end of the last one."""

    statements: Sequence[Statement]
    entries: Sequence[Entry]
    book: int


class Break(NamedTuple):
    """A difference that somebody has to look at; `amount` is what the outside has more."""

    kind: BreakKind
    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]
    amount: int
    since_ms: int
    why: str


class Transit(NamedTuple):
    """What one side has and the other will have."""

    lines: Sequence[Line]
    entries: Sequence[Entry]


class Outcome(NamedTuple):
    """What a comparison came to."""

    report: ReconReport
    exceptions: Sequence[ReconException]
    matches: Sequence[Match]
    transit: Transit
    breaks: Mapping[str, Break]


def difference_of(book: int, external: int, in_transit: int = 0) -> int:
    """Return what the outside has more than the books, with what is on its way counted in."""
    return external + in_transit - book


def severity_of(difference: int, tolerance: int, bounds: Bounds) -> Severity | None:
    """Return how bad a difference of totals is, None when it is within the tolerance."""
    return None if abs(difference) <= tolerance else severity(difference, bounds)


def lines_of(statements: Iterable[Statement]) -> list[Line]:
    """Return the lines of statements; each is named by its statement, since ids are unique within one only."""
    return [
        Line(f"{told.statement_id}/{line.line_id}", line.at, line.amount, line.reference)
        for told in statements
        for line in told.lines
    ]


def compare(scope: Scope, evidence: Evidence, rules: Rules, occasion: Occasion) -> Outcome:
    """Compare an account with what a source says of it."""
    statements = evidence.statements
    lines = lines_of(statements)
    matched = match(lines, _concerned(scope, evidence, lines), rules)
    transit = _in_transit(matched, statements, rules, occasion.at_ms)
    totals = _totals(evidence, matched, transit)
    found = [*_mismatched(matched), *_left(matched, transit, statements)]
    rest = totals.difference - totals.within - sum(one.amount for one in found)
    if severity_of(rest, rules.tolerance, rules.bounds_of(scope.currency)) is not None:
        found.append(_balance(rest, statements))
    breaks = {break_id(scope, one): one for one in found}
    report_id = content_id("recon", *scope, str(occasion.at_ms), occasion.cause)
    exceptions = [_told(id_, one, scope, rules, report_id, occasion.at_ms) for id_, one in sorted(breaks.items())]
    counts = _Counts(len(matched.matches), len(transit.lines) + len(transit.entries), sum(one.amount for one in found))
    report = _report(scope, evidence, totals, counts, exceptions, report_id, rules, occasion.at_ms)
    return Outcome(report, exceptions, matched.matches, transit, breaks)


def _concerned(scope: Scope, evidence: Evidence, lines: Sequence[Line]) -> list[Entry]:
    """Return the entries without the later corrections of breaks that are none of these statements."""
    until_ms = evidence.statements[-1].until
    items = {*ids(lines), *ids(evidence.entries)}
    balance = content_id("break", *scope, "")

    def is_concerned(entry: Entry) -> bool:
        mends = entry.corrects
        if mends is None or entry.at_ms < until_ms:
            return True
        return mends.break_id == balance or not items.isdisjoint((*mends.line_ids, *mends.transaction_ids))

    return [entry for entry in evidence.entries if is_concerned(entry)]


class _Totals(NamedTuple):
    """Of both sides as a whole: what is on its way, the difference, and how much of it lies within matches."""

    in_transit: int
    difference: int
    within: int


class _Counts(NamedTuple):
    """How much was matched and is in transit, and what the breaks come to."""

    matches: int
    in_transit: int
    breaks_amount: int


def _report(
    scope: Scope,
    evidence: Evidence,
    totals: _Totals,
    counts: _Counts,
    exceptions: Sequence[ReconException],
    report_id: str,
    rules: Rules,
    at_ms: int,
) -> ReconReport:
    first, newest = evidence.statements[0], evidence.statements[-1]
    return ReconReport(
        report_id=report_id,
        **scope._asdict(),
        since=first.since,
        until=newest.until,
        statements=len(evidence.statements),
        lines=sum(len(told.lines) for told in evidence.statements),
        entries=sum(first.since <= entry.at_ms < newest.until for entry in evidence.entries),
        matches=counts.matches,
        in_transit=counts.in_transit,
        breaks=len(exceptions),
        worst=worst(one.severity for one in exceptions),
        book=evidence.book,
        external=newest.closing,
        in_transit_amount=totals.in_transit,
        difference=totals.difference,
        breaks_amount=counts.breaks_amount,
        matched_amount=totals.within,
        verdict="differs" if exceptions else "agrees",
        rules=rules.version,
        as_of=at_ms,
    )


def _totals(evidence: Evidence, matched: Matched, transit: Transit) -> _Totals:
    newest = evidence.statements[-1]
    in_transit = total(transit.entries) - total(transit.lines) - _booked_after(matched, newest.until)
    difference = difference_of(evidence.book, newest.closing, in_transit)
    return _Totals(in_transit, difference, sum(one.difference for one in matched.matches))


def worst(severities: Iterable[Severity]) -> Severity | None:
    """Return the worst of some severities, None of none."""
    return max(severities, key=SEVERITIES.index, default=None)


def break_id(scope: Scope, one: Break) -> str:
    """Return the id of a break: what is in it names it, but for what was posted to correct it."""
    entries = [entry for entry in one.entries if entry.corrects is None]
    return content_id("break", *scope, *ids(one.lines), "", *ids(entries))


def changes(
    known: Mapping[str, ReconException], found: Sequence[ReconException], report: ReconReport
) -> list[ReconException]:
    """Return what is to be told of breaks, after what was told last of those that are open: new and changed ones, and closed."""
    now = {one.break_id: one for one in found}
    changed = [one for one in found if one.break_id not in known or _said(known[one.break_id]) != _said(one)]
    gone = [one for id_, one in sorted(known.items()) if id_ not in now]
    return changed + [closed(one, report) for one in gone]


def closed(one: ReconException, report: ReconReport) -> ReconException:
    """Return that a break is none any more."""
    age_seconds = max(0, report.as_of - one.since) // 1000
    changed = {"state": "closed", "report_id": report.report_id, "age_seconds": age_seconds, "as_of": report.as_of}
    return one.model_copy(update=changed)


def _said(one: ReconException) -> ReconException:
    return one.model_copy(update={"report_id": "", "age_seconds": 0, "as_of": 0})


def _in_transit(matched: Matched, statements: Sequence[Statement], rules: Rules, at_ms: int) -> Transit:
    until_ms = statements[-1].until
    lines = [line for line in matched.lines if at_ms - line.at_ms < rules.transit_ms]
    entries = [entry for entry in matched.entries if until_ms - rules.transit_ms < entry.at_ms < until_ms]
    return Transit(lines, entries)


def _booked_after(matched: Matched, until_ms: int) -> int:
    taken: list[Taken] = [*matched.matches, *matched.mismatches, *matched.ties]
    return sum(entry.amount for one in taken for entry in one.entries if entry.at_ms >= until_ms)


def _mismatched(matched: Matched) -> Iterator[Break]:
    for one in matched.mismatches:
        yield _mixed("amount", one.lines, one.entries, f"by the rule {one.rule} they belong together, and differ")
    for tie in matched.ties:
        yield _mixed("tie", tie.lines, tie.entries, tie.why)


def _mixed(kind: BreakKind, lines: tuple[Line, ...], entries: tuple[Entry, ...], why: str) -> Break:
    times = [line.at_ms for line in lines] + [entry.at_ms for entry in entries]
    return Break(kind, lines, entries, total(lines) - total(entries), min(times), why)


def _left(matched: Matched, transit: Transit, statements: Sequence[Statement]) -> Iterator[Break]:
    lines, entries = set(ids(transit.lines)), set(ids(transit.entries))
    since_ms, until_ms = statements[0].since, statements[-1].until
    for line in matched.lines:
        if line.id not in lines:
            yield Break("not_in_books", (line,), (), line.amount, line.at_ms, "no entry explains this line")
    for entry in matched.entries:
        if entry.id not in entries and since_ms <= entry.at_ms < until_ms:
            yield Break("not_on_statement", (), (entry,), -entry.amount, entry.at_ms, _why_missing(entry, statements))


def _why_missing(entry: Entry, statements: Sequence[Statement]) -> str:
    if any(told.since <= entry.at_ms < told.until for told in statements):
        return "no line shows this entry"
    return "no statement covers the time of this entry; load the one that is missing"


def _balance(amount: int, statements: Sequence[Statement]) -> Break:
    why = "the balances differ by this beyond all lines and entries: an opening balance, or a statement that is missing"
    return Break("balance", (), (), amount, statements[0].since, why)


def _told(id_: str, one: Break, scope: Scope, rules: Rules, report_id: str, at_ms: int) -> ReconException:
    leaves = {entry.account for entry in one.entries}
    return ReconException(
        break_id=id_,
        report_id=report_id,
        state="open",
        kind=one.kind,
        source=scope.source,
        account=leaves.pop() if len(leaves) == 1 else scope.account,
        currency=scope.currency,
        amount=one.amount,
        severity=rules.severity(one.amount, scope.currency),
        since=one.since_ms,
        age_seconds=max(0, at_ms - one.since_ms) // 1000,
        line_ids=tuple(line.id for line in one.lines),
        transaction_ids=tuple(entry.id for entry in one.entries if entry.corrects is None),
        why=one.why,
        as_of=at_ms,
    )
