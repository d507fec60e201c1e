"""What a person can mend, said in one sentence: whatever the outside raises is turned into a `BallastError` here.

What the libraries say may hold a password (a connection string that cannot be read is repeated in the error), so of
those errors only the words that the server sent are passed on.
"""

import psycopg
from confluent_kafka import KafkaException

from connectors.kafka.source import AWAY
from domain.errors import AwayError, BallastError, ConfigError

OF_SETTINGS = ("08", "28", "3D", "3F000", "42501", "42P01")
"""Classes and codes of SQLSTATE that a setting or a right mends: connection, login, database, schema, right, table."""

_DSN = "check postgres.dsn (BALLAST_POSTGRES__DSN)"


def known_trouble(error: BaseException) -> BallastError | None:
    """The trouble in words for a person; None for what is a bug and deserves its traceback."""
    match error:
        case BallastError():
            return error
        case psycopg.errors.SerializationFailure() | psycopg.errors.DeadlockDetected():
            said = error.diag.message_primary
            return BallastError(
                f"a conflict of transactions: Postgres broke this one off ({said}), nothing was done; try again"
            )
        case psycopg.Error() if _is_of_an_act(error):
            return BallastError(f"Postgres refuses: {error.diag.message_primary} (SQLSTATE {error.sqlstate})")
        case psycopg.Error():
            return ConfigError(_of_postgres(error))
        case KafkaException():
            return ConfigError(
                f"the Kafka broker does not serve us: {error.args[0].str()}; check kafka.bootstrap and its log"
            )
        case _:
            return None


POSTGRES_AWAY = ("08", "57P01", "57P02", "57P03", "53300")
"""Classes and codes of SQLSTATE of a connection that is lost, and of a server that ends, starts, or has none left for us."""


def bottom_of(error: BaseException) -> BallastError | None:
    """Return what ended a worker, from below all that was wrapped around it; None for what is a bug.

    Who had been let in before, and is not any more, takes what does not answer for away: at the start of a connection
    libpq has no codes, so a password that was changed meanwhile is waited for too, with what the server says of it.
    """
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    known = next((one for one in chain if isinstance(one, BallastError)), None)
    return known or next((away for one in chain if (away := _away(one))), None)


def _away(error: BaseException) -> AwayError | None:
    match error:
        case psycopg.OperationalError() if error.sqlstate is None or error.sqlstate.startswith(POSTGRES_AWAY):
            said = error.diag.message_primary or next(iter(str(error).strip().splitlines()), "no answer")
            return AwayError(f"Postgres does not answer: {said}; {_DSN} and that the server runs", "Postgres")
        case KafkaException() if error.args[0].code() in AWAY:
            return AwayError(f"the Kafka broker does not answer: {error.args[0].str()}; see that it runs", "Kafka")
        case _:
            return None


def _is_of_an_act(error: psycopg.Error) -> bool:
    """Tell whether the server let us in and knows its tables, so that no setting is to blame for what it says."""
    return error.sqlstate is not None and error.sqlstate[:2] not in OF_SETTINGS and error.sqlstate not in OF_SETTINGS


def _of_postgres(error: psycopg.Error) -> str:
    said = error.diag.message_primary
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return f"the database has not been prepared ({said}); run: ballast migrate"
    if said is not None:
        return f"Postgres refuses: {said}; {_DSN} and the rights of its user"
    if isinstance(error, psycopg.OperationalError):
        first = next(iter(str(error).strip().splitlines()), "no answer")
        return f"Postgres does not let us in: {first}; {_DSN} and that the server runs"
    return f"postgres.dsn cannot be read as postgresql://user:password@host/database; {_DSN}"
