"""What a person can mend, said in one sentence: whatever the outside raises is turned into a `BallastError` here.

What the libraries say may hold a password (a connection string that cannot be read is repeated in the error), so of
those errors only the words that the server sent are passed on.
"""

import psycopg
from confluent_kafka import KafkaException

from domain.errors import BallastError, ConfigError

_DSN = "check postgres.dsn (BALLAST_POSTGRES__DSN)"


def known_trouble(error: BaseException) -> BallastError | None:
    """The trouble in words for a person; None for what is a bug and deserves its traceback."""
    match error:
        case BallastError():
            return error
        case psycopg.Error():
            return ConfigError(_of_postgres(error))
        case KafkaException():
            return ConfigError(
                f"the Kafka broker does not serve us: {error.args[0].str()}; check kafka.bootstrap and its log"
            )
        case _:
            return None


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
