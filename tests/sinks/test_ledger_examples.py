"""The examples in `sql/examples`: each is run over the same small ledger, and gives what stands beside it.

After a change of an example, or of the ledger that they are run over, write what they give anew, and look at it:

    python -m tests.sinks.test_ledger_examples --write
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from app.ledger_tables import aligned, plain_rows
from connectors.embedded import embedded_postgres
from sinks.migrations import migrate
from tests.app.surroundings import open_folder
from tests.sinks.ledger_story import tell

pytestmark = pytest.mark.postgres

EXAMPLES = sorted((Path(__file__).parents[2] / "sql" / "examples").glob("*.sql"))


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


def test_every_example_gives_what_stands_beside_it(dsn: str) -> None:
    """The committed output is what the example gives, to the letter."""
    tell(dsn)
    expected = {path.name: path.with_suffix(".out").read_text() for path in EXAMPLES}
    assert expected == {path.name: text for path, text in answers(dsn, EXAMPLES).items()}


def _write() -> None:
    with open_folder() as folder, embedded_postgres(folder / "postgres") as dsn:
        migrate(dsn)
        tell(dsn)
        for path, text in answers(dsn, EXAMPLES).items():
            path.with_suffix(".out").write_text(text)


if __name__ == "__main__" and "--write" in sys.argv:
    _write()
