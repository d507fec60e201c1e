"""The page on the accounts: its tables are the chart, and what the templates do with it.

After a change of either write the tables anew, and look at them:

    python -m tests.domain.templates.test_accounts_page --write
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.ledger.accounts import FIXED, OF_BOOKS, OF_CUSTOMERS, OF_VENUES, Account
from domain.ledger.journal import CREDIT, DEBIT, Transaction
from domain.templates.currency_exchange import currency_exchange
from tests.domain.templates.test_templates import AT, TABLE

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "accounts.md"
OF_ANY_ACCOUNT = {"TRANSFER", "HOLD", "CAPTURE", "VOID", "EXPIRE", "REVERSAL", "RECONCILIATION"}
"""Templates whose accounts are those that somebody names, or those of what they end or take back."""

NO_TEMPLATES = {"CASH_FLOW", "EXCHANGE_POSITION", "FILL", "REBOOKING"}
"""Words that ids are made of."""

UNITS = {"USD": "cents", "USDC": "millionths", "BTC": "satoshis", None: "minor units of any currency"}
SUMS = {**dict.fromkeys(OF_VENUES, "venue"), **dict.fromkeys(OF_BOOKS, "book"), **dict.fromkeys(OF_CUSTOMERS, "customer")}


def examples() -> dict[str, Transaction]:
    """A transaction of each template that has accounts of its own, with amounts as they usually are."""
    told = [transaction for _, transaction, _ in TABLE if transaction is not None]
    sold = ("BTC", 100)
    rate = Decimal("0.0499")
    told += [currency_exchange("x", "payer", "receiver", sold, "USD", rate, correlation_id="x", **AT) or told[0]]
    found: dict[str, Transaction] = {}
    for transaction in told:
        if transaction.template not in OF_ANY_ACCOUNT:
            found.setdefault(transaction.template, transaction)
    return found


def summary_of(code: str) -> str:
    """An account by its place in the chart: `POSITION/okx` is one of `POSITION/venue`."""
    name = code.partition("/")[0]
    whose = next((whose for account, whose in SUMS.items() if account.code == name), None)
    return f"{name}/{whose}" if whose else name


def chart_rows() -> Iterator[str]:
    """Each account of the chart: what it is, the side that makes it larger, its unit, and what moves it."""
    yield "| account | what is on it | grows by | in | moved by |"
    yield "|---|---|---|---|---|"
    for account in FIXED:
        code = summary_of(account.code)
        yield f"| `{code}` | {account.meaning} | {_side(account)} | {UNITS[account.currency]} | {_moved_by(code)} |"


def _side(account: Account) -> str:
    return "debits" if account.normal_side == DEBIT else "credits"


def _moved_by(code: str) -> str:
    names = [name for name, one in examples().items() if code in {summary_of(entry.account) for entry in one.entries}]
    return ", ".join(f"`{name}`" for name in names) or "no template yet"


def template_rows() -> Iterator[str]:
    """Each template with the accounts that it debits and credits."""
    yield "| template | debits | credits |"
    yield "|---|---|---|"
    for name, transaction in examples().items():
        if transaction.reverses:
            yield f"| `{name}` | takes back `{name.removeprefix('REVERT_')}` | |"
        else:
            yield f"| `{name}` | {_accounts(transaction, DEBIT)} | {_accounts(transaction, CREDIT)} |"


def _accounts(transaction: Transaction, side: int) -> str:
    codes = [f"{summary_of(e.account)} {e.currency}" for e in transaction.entries if e.side == side]
    return ", ".join(codes)


def page() -> str:
    """The page, with its tables as they are."""
    text = PAGE.read_text()
    for name, rows in {"chart": chart_rows(), "templates": template_rows()}.items():
        marks = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        assert marks.search(text), f"the page has no place for the {name}"
        text = marks.sub(lambda _, rows=rows: _lines(rows), text)  # type: ignore[misc]
    return text


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def test_the_page_has_the_accounts_as_they_are() -> None:
    """Every account with its meaning, its normal side, its unit and its templates."""
    assert page() == PAGE.read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "domain" / "templates").glob("*.py")), ids=lambda path: path.stem)
def test_no_template_is_left_out(path: Path) -> None:
    """Whatever name a template has in the code, the page knows what it moves."""
    words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    names = {word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Z_]{4,}", word)}
    accounts = {account.code for account in FIXED}
    assert set() == names - accounts - NO_TEMPLATES - OF_ANY_ACCOUNT - examples().keys()


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page())
