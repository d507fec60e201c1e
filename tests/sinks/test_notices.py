"""What people should look at is kept where they can ask for it, each word once."""

import psycopg
import pytest

from domain.messages.legs import LegRefusal
from domain.messages.ops import Alert
from domain.streams.records import Outgoing
from domain.topics import ALERTS
from operators.streams.publish import outgoing
from sinks.notices import NoticeSink
from tests.sinks.ledger.checks import Sql
from tests.words import START_MS

pytestmark = pytest.mark.postgres

ALERT = Alert(id="a", severity="critical", subject="s", text="look", as_of=START_MS)
REFUSAL = LegRefusal(
    leg_id="b1", reason="failed", detail="it failed", source="dealer.transactions/0", source_offset=7, as_of=START_MS
)
KEPT = "SELECT id, text FROM treasury.alert ORDER BY as_of, text"


def told(*messages: Alert | LegRefusal) -> list[Outgoing]:
    """The messages on their way to their topics."""
    return [outgoing(message, START_MS) for message in messages]


def write(dsn: str, *batches: list[Outgoing]) -> None:
    """Write batches through one partition of the sink, as the engine would."""
    sink = NoticeSink(dsn)
    assert ["notices-0"] == sink.list_parts()
    keeping = sink.build_part("to_notices", "notices-0", None)
    for batch in batches:
        keeping.write_batch(batch)
        keeping.snapshot()
    keeping.close()


def test_each_kind_has_its_table(dsn: str, sql: Sql) -> None:
    """An alert and a refused leg of one batch, with all that they say."""
    write(dsn, told(ALERT, REFUSAL))
    alert = "SELECT id, severity, subject, text, extract(EPOCH FROM as_of) * 1000 FROM treasury.alert"
    assert [("a", "critical", "s", "look", START_MS)] == sql(alert)
    refusal = "SELECT leg_id, reason, detail, source, source_offset FROM treasury.leg_refusal"
    assert [("b1", "failed", "it failed", "dealer.transactions/0", 7)] == sql(refusal)


def test_telling_again_adds_nothing(dsn: str, sql: Sql) -> None:
    """The same word in the same batch or a later run is one row; another word of the same trouble is another."""
    worse = ALERT.model_copy(update={"text": "worse"})
    write(dsn, told(ALERT, ALERT, REFUSAL), told(ALERT, worse))
    write(dsn, told(worse, REFUSAL), [])
    assert [("a", "look"), ("a", "worse")] == sql(KEPT)
    assert [(1,)] == sql("SELECT count(*) FROM treasury.leg_refusal")


def test_any_text_can_be_kept(dsn: str, sql: Sql) -> None:
    """A zero byte, which Postgres has no place for, is replaced; the digest is that of the words as they were told."""
    write(dsn, told(ALERT.model_copy(update={"text": "a\0b ü€😀"}), ALERT.model_copy(update={"text": "a�b ü€😀"})))
    assert [("a", "a�b ü€😀")] * 2 == sql(KEPT)


@pytest.mark.parametrize("table", ["alert", "leg_refusal"])
@pytest.mark.parametrize(
    "change", ["UPDATE treasury.{} SET as_of = now()", "DELETE FROM treasury.{}", "TRUNCATE treasury.{}"]
)
def test_what_was_said_stays(dsn: str, sql: Sql, table: str, change: str) -> None:
    """Not even a superuser changes it or takes it away."""
    write(dsn, told(ALERT, REFUSAL))
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(change.format(table))
    assert ALERTS.name == told(ALERT)[0].topic
