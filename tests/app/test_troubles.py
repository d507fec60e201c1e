"""Troubles in words: what a person can mend is a sentence with the exit code of who has to act."""

from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import KafkaError, KafkaException
from psycopg.conninfo import make_conninfo

from app.troubles import bottom_of, known_trouble
from domain.errors import AwayError, BallastError, ConfigError, FencedError
from tests.app.surroundings import open_server

pytestmark = pytest.mark.postgres

RAISE = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = 'so it is'; END $$"
TOLD = {
    "40001": (1, "nothing was done; try again"),
    "40P01": (1, "nothing was done; try again"),
    "23505": (1, "SQLSTATE 23505"),
    "57P01": (1, "SQLSTATE 57P01"),
    "53100": (1, "SQLSTATE 53100"),
    "28000": (78, "check postgres.dsn"),
    "42501": (78, "the rights of its user"),
    "42P01": (78, "ballast migrate"),
    "3F000": (78, "ballast migrate"),
}


@pytest.fixture(scope="module")
def server_dsn() -> Iterator[str]:
    """A server to ask."""
    with open_server() as dsn:
        yield dsn


@pytest.mark.parametrize("code", TOLD)
def test_what_the_server_says_is_told_to_who_has_to_act(server_dsn: str, code: str) -> None:
    """A setting is to blame only for what a setting mends; what was broken off beside another is tried again."""
    exit_code, words = TOLD[code]
    with psycopg.connect(server_dsn, autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(RAISE.format(code))  # type: ignore[arg-type]
    trouble = known_trouble(caught.value)
    assert trouble is not None
    assert (exit_code, type(trouble)) == (trouble.exit_code, ConfigError if exit_code == 78 else BallastError)
    assert words in str(trouble)
    assert "so it is" in str(trouble)


def test_a_server_that_is_not_there_is_a_setting(server_dsn: str) -> None:
    """It says no SQLSTATE at all."""
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect(make_conninfo(server_dsn, dbname="ballast_nowhere"))
    trouble = known_trouble(caught.value)
    assert isinstance(trouble, ConfigError)
    assert "check postgres.dsn" in str(trouble)


AWAY_CASES = [
    ("57P01", True),
    ("57P03", True),
    ("53300", True),
    ("08006", True),
    ("53100", False),
    ("23505", False),
    ("42501", False),
]


@pytest.mark.parametrize(("code", "is_away"), AWAY_CASES)
def test_a_server_that_ends_or_starts_is_away(server_dsn: str, code: str, is_away: bool) -> None:
    """What passes by itself is waited for, below whatever was wrapped around it; the rest is for a person, or a bug."""
    with psycopg.connect(server_dsn, autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(RAISE.format(code))  # type: ignore[arg-type]
    wrapped = RuntimeError("a step of the flow")
    wrapped.__cause__ = caught.value
    found = bottom_of(wrapped)
    assert is_away == isinstance(found, AwayError)
    assert isinstance(found, AwayError) or found is None


def test_what_is_known_goes_before_what_it_came_from() -> None:
    """A writer that is put out loses its connection, and is fenced all the same."""
    fenced = FencedError("another writer")
    fenced.__cause__ = psycopg.OperationalError("the connection is lost")
    wrapped = RuntimeError("a step of the flow")
    wrapped.__context__ = fenced
    assert fenced is bottom_of(wrapped)
    assert isinstance(bottom_of(fenced.__cause__), AwayError)


@pytest.mark.parametrize(
    ("code", "is_away"), [(KafkaError._TRANSPORT, True), (KafkaError._TIMED_OUT, True), (KafkaError.TOPIC_EXCEPTION, False)]
)
def test_a_broker_that_does_not_answer_is_away(code: int, is_away: bool) -> None:
    """One that answers with a refusal is not."""
    assert is_away == isinstance(bottom_of(KafkaException(KafkaError(code))), AwayError)
