"""The process of a ledger's writer, which a flow starts and asks.

python -m app.workers.writer LOG_LEVEL SOCKET
"""

import sys

from app.logs import configure_logs
from sinks.ledger.answering import answer


def writer_command(log_level: str) -> list[str]:
    """Return what starts it; the number of its end of a socket is to follow."""
    return [sys.executable, "-m", "app.workers.writer", log_level]


def main() -> None:
    """Write until told to close, or until nobody can ask any more."""
    configure_logs(sys.argv[1])
    answer(int(sys.argv[2]))


if __name__ == "__main__":
    main()
