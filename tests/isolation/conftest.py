"""The server is that of the tests of the ledger."""

from tests.sinks.conftest import postgres

__all__ = ["postgres"]
