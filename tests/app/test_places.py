"""Places: what is done to a database that is somebody's own is said."""

import pytest
from structlog.testing import capture_logs

from app.places.places import open_places
from app.settings import Settings


@pytest.mark.broker
@pytest.mark.postgres
def test_a_named_database_that_is_prepared_on_the_way_is_said(broker: str, database: str) -> None:
    """The first start over an empty database names the migrations that it applied; the next has none to name."""
    settings = Settings.model_validate({"kafka": {"bootstrap": broker}, "postgres": {"dsn": database}})
    said = []
    for _ in range(2):
        with capture_logs() as logs, open_places(settings):
            said.append([entry["migrations"] for entry in logs if entry["event"] == "database.migrated"])
    (first,), second = said
    assert "0001_roles" in first
    assert [] == second
