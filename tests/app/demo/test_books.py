"""Several books: two liabilities at two venues, each with a gateway, accounts and a policy of its own, and trades over shards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.embedded.postgres import embedded_postgres
from tests.app.surroundings import open_folder, run_ballast

SETTINGS = """
[ledger]
trade_shards = 3
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
            " JOIN treasury.policy p ON p.version = d.policy_version WHERE d.kind <> 'buffer' ORDER BY 1"
        ).fetchall()
        orders = connection.execute("SELECT DISTINCT counterparty FROM treasury.request WHERE kind = 'order'").fetchall()
    assert [("euro", "south", "reference", "reference"), ("main", "north", "guarded", "guarded")] == found
    assert [("north",)] == orders


def test_trades_are_spread_over_the_shards_and_owed_together(shown: tuple[Path, dict[str, Any]]) -> None:
    """Each shard has booked some of them on its leaf, and what is owed is what the leaves come to."""
    folder, summary = shown
    with embedded_postgres(folder / "data" / "postgres") as dsn, psycopg.connect(dsn) as connection:
        owed = connection.execute(
            "SELECT account, settled FROM ledger.balances WHERE account LIKE 'STABLESATS_OMNIBUS%' ORDER BY 1"
        ).fetchall()
        booked = connection.execute(
            "SELECT DISTINCT b.shard FROM ledger.tx t JOIN ledger.batch b USING (batch_id)"
            " WHERE t.template LIKE 'USER%' ORDER BY 1"
        ).fetchall()
    assert ["STABLESATS_OMNIBUS/00", "STABLESATS_OMNIBUS/02", "STABLESATS_OMNIBUS/03"] == [code for code, _ in owed]
    assert summary["liability_cents"] == sum(settled for _, settled in owed)
    assert [(0,), (2,), (3,)] == booked
