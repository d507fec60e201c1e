"""SQL to copy: what stands in `sql/examples` and in the pages is run over a ledger as the product fills it, and answers.

After a change of an example, or of the ledger that they are run over, write what they give anew, and look at it:

    python -m tests.sinks.ledger.test_examples --write
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from app.reports.tables import aligned, plain_rows
from connectors.embedded.postgres import embedded_postgres
from sinks.migrations import migrate
from sinks.postgres import connect
from tests.app.surroundings import ROOT, open_database, open_folder
from tests.sinks.ledger.product import tell_product
from tests.sinks.ledger.troubled import tell_troubles

pytestmark = pytest.mark.postgres

EXAMPLES = sorted((ROOT / "sql" / "examples").glob("*.sql"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IN_PAGES = [
    (page.name, statement.strip())
    for page in PAGES
    for block in re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
    for statement in block.split(";")
    if statement.strip()
]


@pytest.fixture(scope="module")
def product(postgres: str) -> Iterator[str]:
    """The ledger of the product, for reading."""
    with open_database(postgres) as dsn:
        migrate(dsn)
        tell_product(dsn)
        yield dsn


def answers(dsn: str, examples: Sequence[Path]) -> dict[Path, str]:
    """What each example gives, as aligned text."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("SET TIME ZONE 'Europe/Zurich'")  # an analyst's; days are UTC days whatever it is
        found = {path: connection.execute(path.read_bytes()).fetchall() for path in examples}
    return {path: aligned(plain_rows(rows)) for path, rows in found.items()}


def test_there_are_examples() -> None:
    """Enough to learn from, and each begins with its question."""
    assert len(EXAMPLES) >= 8
    assert [] == [path.name for path in EXAMPLES if "?" not in path.read_text().split("\nSELECT")[0]]


def test_every_example_gives_what_stands_beside_it(product: str) -> None:
    """The committed output is what the example gives, to the letter, and each gives something."""
    expected = {path.name: path.with_suffix(".out").read_text() for path in EXAMPLES}
    assert expected == {path.name: text for path, text in answers(product, EXAMPLES).items()}
    assert [] == [name for name, text in expected.items() if len(text.splitlines()) < 2]


@pytest.fixture(scope="module")
def widened(postgres: str) -> Iterator[str]:
    """The same with buffers and what goes wrong with them, at times that are never the same."""
    with open_database(postgres) as dsn:
        migrate(dsn)
        tell_product(dsn)
        tell_troubles(dsn)
        yield dsn


@pytest.mark.parametrize(("page", "statement"), IN_PAGES)
def test_what_a_page_asks_is_answered(page: str, statement: str, widened: str) -> None:
    """A reader's role is enough for it, and there are rows."""
    with connect(widened, "reader", "test") as connection:
        assert connection.execute(statement.encode()).fetchall()


def _write() -> None:
    with open_folder() as folder, embedded_postgres(folder / "postgres") as dsn:
        migrate(dsn)
        tell_product(dsn)
        for path, text in answers(dsn, EXAMPLES).items():
            path.with_suffix(".out").write_text(text)


if __name__ == "__main__" and "--write" in sys.argv:
    _write()
