"""What was booked of customers, beside the message that it comes from."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from app.reports.audit.checks import ROWS_MAX, Row, rows_of
from sinks.archive.parquet import Duck

_BOOKED = """
SELECT t.tx_id, t.template, CAST(t.meta AS VARCHAR), m.said,
    list([a.code, e.currency, CAST(e.side AS VARCHAR), CAST(e.amount AS VARCHAR)])
FROM tx t JOIN batch b USING (batch_id) JOIN begun g ON g.source = t.source
LEFT JOIN told m ON m.source = t.source AND m."offset" = t.source_offset
LEFT JOIN entry e ON e.tx_id = t.tx_id AND e.leg <= t.n_entries - t.n_added LEFT JOIN account a USING (account_id)
WHERE list_contains(?, t.template) AND t.relation IS NULL AND t.source_offset >= g.first
    AND b.recorded_at_us // 1000 >= g.at_ms
GROUP BY ALL ORDER BY t.tx_id
"""
"""Not judged is what was booked before its partition began."""

Entry = tuple[str, str, int, int]
"""Account, asset, side and amount."""

DEBIT, CREDIT = 1, -1


class Booked(NamedTuple):
    """A transaction: its metadata and its message as JSON, the latter None where it is not there, and how often it has which
    entry."""

    tx_id: str
    template: str
    meta: str
    said: str | None
    entries: Counter[Entry]

    def amount(self, account: str, asset: str, side: int) -> int:
        """Return what was booked on a side of an account."""
        found = [entry[3] * n for entry, n in self.entries.items() if entry[:3] == (account, asset, side)]
        return sum(found)

    def unlike(self, expected: Counter[Entry]) -> str | None:
        """Return what it should book and what it books, where that is not the same."""
        if expected == self.entries:
            return None
        return f"it should book {_text(expected - self.entries)}, not {_text(self.entries - expected)}"


def _text(entries: Counter[Entry]) -> str:
    return "; ".join(" ".join(map(str, entry)) for entry in sorted(entries)) or "nothing"


def booked(opened: Duck, templates: Sequence[str]) -> Iterator[Booked]:
    """Yield what was booked by some templates."""
    for tx_id, template, meta, said, entries in rows_of(opened, _BOOKED, asked=[templates]):
        counted = Counter((code, asset, int(side), int(amount)) for code, asset, side, amount in entries)
        yield Booked(str(tx_id), template, meta, said, counted)


def entries_of(*entries: Entry) -> Counter[Entry]:
    """Return entries as they are compared: without those that move nothing."""
    return Counter(entry for entry in entries if entry[3])


def judged(found: Iterator[Booked], judge: Callable[[Booked], str | None]) -> tuple[int, int, Sequence[Row]]:
    """Return of how many transactions how many are wrong, and the first of them."""
    checked, breaches, rows = 0, 0, list[Row]()
    for one in found:
        checked += 1
        wrong = judge(one)
        breaches += wrong is not None
        if wrong is not None and len(rows) < ROWS_MAX:
            rows.append({"tx_id": one.tx_id, "template": one.template, "wrong": wrong, "meta": one.meta})
    return checked, breaches, rows
