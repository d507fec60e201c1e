"""An audit of a treasury that trades: no word that is on its way is taken for one that is lost."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.demo.crowd import CrowdThread
from app.reports.audit.checks import BREACH
from app.reports.audit.judge import audit_folder
from app.reports.audit.taking import snapshot_of
from app.workers.session import Session
from app.workers.supervisor import Group
from tests.app.trading import open_trading, settle
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

MESSAGES = (
    "I1_every_leg_has_its_place",
    "I2_every_group_of_legs_is_paired_as_well_as_can_be",
    "I11_the_position_is_the_sum_of_its_fills",
)


@pytest.fixture
def trading() -> Iterator[Session]:
    """A treasury with its worker, which ends well."""
    with open_trading() as (session, folder):
        group = Group("everything", 1, session.env, folder / "worker.log")
        group.start()
        yield session
        assert [0] == group.stop(), (folder / "worker.log").read_text()


def orders(session: Session) -> int:
    """How many orders were asked for."""
    with psycopg.connect(session.places.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM treasury.request WHERE kind = 'order'").fetchone()
    return int(row[0]) if row else 0


def test_a_snapshot_while_everything_runs_passes(trading: Session, tmp_path: Path) -> None:
    """Again and again while users trade and orders leave, and once all has come to rest; then every leg is judged."""
    kafka = trading.places.kafka
    with CrowdThread(kafka, 7, 40):
        for number in range(1, 6):
            until(lambda least=number: orders(trading) >= least, "another order")
            snapshot_of(trading.places.dsn, kafka, tmp_path / f"{number}", "closest")
            report = audit_folder(tmp_path / f"{number}")
            assert [] == [check for check in report["checks"] if check["verdict"] == BREACH]
    settle(trading.places)
    snapshot_of(trading.places.dsn, kafka, tmp_path / "settled", "closest")
    report = audit_folder(tmp_path / "settled")
    assert [] == [check for check in report["checks"] if check["verdict"] == BREACH]
    checked = {check["name"]: check["checked"] for check in report["checks"]}
    assert 0 < min(checked[name] for name in MESSAGES)
    assert report["system"]["cluster_id"]
