"""Several books: two liabilities at two venues, each with a gateway, accounts and a policy of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.embedded.postgres import embedded_postgres
from tests.app.surroundings import open_folder, run_ballast

SETTINGS = """
[venues.north]
[venues.south]
[books.main]
venue = "north"
[books.euro]
venue = "south"
liability = ["EURO_OMNIBUS", "EUR"]
policy = { rules = "reference" }
"""


@pytest.fixture(scope="module")
def shown() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A demo with two books, and its summary."""
    with open_folder() as folder:
        (folder / "two.toml").write_text(SETTINGS)
        arguments = ("--config", "two.toml", "--seconds", "3", "--data", str(folder / "data"), "--json")
        said = run_ballast("demo", *arguments, cwd=folder, timeout_seconds=1800)
        assert 0 == said.code, said.err
        yield folder, said.json()


def test_books_at_two_venues_are_settled_and_sound(shown: tuple[Path, dict[str, Any]]) -> None:
    """What is owed is hedged at the one venue, nothing at the other, and every promise holds."""
    _, summary = shown
    assert (True, {"pass"}) == (summary["settled"], set(summary["invariants"].values()))
    assert {"exposure_cents": 0, "funding_sats": 0} == summary["books_less_exchange"]
    assert 0 > summary["exposure_cents"]


def test_each_book_decides_by_its_own_policy_which_is_kept(shown: tuple[Path, dict[str, Any]]) -> None:
    """Decisions name their book, their venue and a version that leads to the whole policy."""
    with embedded_postgres(shown[0] / "data" / "postgres") as dsn, psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT DISTINCT d.book, d.venue, d.policy, p.body ->> 'rules' FROM treasury.decision d"
            " JOIN treasury.policy p ON p.version = d.policy_version ORDER BY 1"
        ).fetchall()
        orders = connection.execute("SELECT DISTINCT counterparty FROM treasury.request").fetchall()
    assert [("euro", "south", "reference", "reference"), ("main", "north", "guarded", "guarded")] == found
    assert [("north",)] == orders
