"""What the outside says of our accounts, and what came of comparing it with the books."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import PRINTABLE, Balance, Message, Ms, Name, NonZeroAmount
from domain.messages.ledger import AccountCode

STATEMENT_BYTES_MAX = 900 * 1024
"""What brokers take as they come is a mebibyte; a longer statement is told in shorter periods."""

CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,16}$")]
Text = Annotated[str, Field(max_length=256, pattern=PRINTABLE)]
Count = Annotated[int, Field(ge=0)]
Severity = Literal["low", "medium", "high", "critical"]
BreakKind = Literal["not_in_books", "not_on_statement", "amount", "tie", "balance"]


class StatementLine(Message):
    """One line of a statement; `amount` is positive when it makes the account larger, as `ballast ledger balance` shows it."""

    line_id: Name
    at: Ms
    amount: NonZeroAmount
    reference: Text = ""
    description: Text = ""


class Statement(Message):
    """A whole statement of one account: the opening balance, every line of [since, until), and the closing balance.

    Amounts are in minor units, from our side. The same statement told twice is one; another one under its id is a conflict.
    """

    examples = (
        '{"statement_id":"first-2026-01-31","source":"bank:first","account":"TREASURY_WALLET","currency":"BTC",'
        '"since":"2026-01-31T00:00:00Z","until":"2026-02-01T00:00:00Z","opening":0,"closing":1500,"lines":['
        '{"line_id":"1","at":"2026-01-31T09:00:00Z","amount":2000,"reference":"deposit 7"},'
        '{"line_id":"2","at":"2026-01-31T12:00:00Z","amount":-500,"reference":"","description":"fee"}]}',
    )
    happened = "since"
    bytes_max = STATEMENT_BYTES_MAX

    statement_id: Name
    source: Name
    account: AccountCode
    currency: CurrencyCode
    since: Ms
    until: Ms
    opening: Balance
    closing: Balance
    lines: tuple[StatementLine, ...]

    @model_validator(mode="after")
    def _adds_up(self) -> "Statement":
        said = _wrong(self)
        if said is not None:
            raise ValueError(said)
        return self


def _wrong(told: Statement) -> str | None:
    """Return what contradicts itself in a statement, None when nothing does."""
    if told.until <= told.since:
        return "a statement ends after it begins; until is not later than since"
    ids: set[str] = set()
    for number, line in enumerate(told.lines, 1):
        if line.line_id in ids:
            return f"line {number} has the line_id {line.line_id!r} of a line before it; each line has one of its own"
        if not told.since <= line.at < told.until:
            return f"line {number} ({line.line_id!r}) is not within since and until; a line of until belongs to the next one"
        ids.add(line.line_id)
    total = told.opening + sum(line.amount for line in told.lines)
    if total != told.closing:
        return f"opening and lines come to {total}, and closing says {told.closing}: a line is missing or too many"
    return None


class ReconReport(Message):
    """What came of comparing an account with what a source says of it, as of the end of its newest statement.

    `difference` is the outside's closing balance, with what is in transit, less the balance in the books; of it `breaks_amount`
    lies in breaks and `matched_amount` within the tolerance of what was matched.
    """

    report_id: Name
    source: Name
    account: AccountCode
    currency: CurrencyCode
    since: Ms
    until: Ms
    statements: Count
    lines: Count
    entries: Count
    matches: Count
    in_transit: Count
    breaks: Count
    worst: Severity | None
    book: Balance
    external: Balance
    in_transit_amount: Balance
    difference: Balance
    breaks_amount: Balance
    matched_amount: Balance
    verdict: Literal["agrees", "differs"]
    rules: Name
    as_of: Ms


class ReconException(Message):
    """A difference that somebody has to look at; the newest word on a break holds.

    `amount` is what the outside has more than the books; `account` is the account that has to answer for it.
    """

    break_id: Name
    report_id: Name
    state: Literal["open", "closed"]
    kind: BreakKind
    source: Name
    account: AccountCode
    currency: CurrencyCode
    amount: Balance
    severity: Severity
    since: Ms
    age_seconds: Count
    line_ids: tuple[str, ...]
    transaction_ids: tuple[str, ...]
    why: str
    as_of: Ms
