"""A database that was restored as it was before, under state that was saved after it."""

import psycopg
import pytest

from tests.app.surroundings import ended, run_ballast, running_flows, unused_name
from tests.app.typed import BOOKED, legs_of_a_trade, number, type_with_ballast
from tests.sinks.ledger.story import as_superuser
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

LAST = b"DELETE FROM ledger.batch WHERE batch_id = (SELECT max(batch_id) FROM ledger.batch WHERE shard = 0)"


def test_a_database_as_it_was_before_is_not_gone_on_with(broker: str) -> None:
    """What it has lost would be booked by nobody, so a worker says so, and the way on, and ends with 78."""
    with running_flows(["liability"], broker=broker) as running, psycopg.connect(running.dsn, autocommit=True) as sql:
        name = unused_name("lost")
        type_with_ballast(running, legs_of_a_trade(name))
        until(lambda: number(sql, BOOKED, f"b-{name}") == 1, "the booking")
        assert 0 == ended(running.process)
        as_superuser(sql, LAST)
        said = run_ballast("run", "liability", cwd=running.folder, settings=running.settings)
        assert 78 == said.code
        assert "the database was restored as it was before" in said.err
        assert "empty recovery folder" in said.err
