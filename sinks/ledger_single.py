"""The other entry point of the ledger: single postings, by whoever has one to make, while the shard's writer works on.

It takes the lock that every batch takes, reads what the postings touch, and folds and writes them as the writer does, so
they meet the same rules and the same guards. The writer notices by the chain of batches that somebody else has posted,
and reads its memory anew. Each call costs a dozen round trips: for corrections and requests of people, not for streams.
"""

from collections.abc import Sequence

import psycopg

from domain.books import Books, balances
from domain.errors import InvariantError
from domain.fold import fold
from domain.journal import Booked, Transaction
from sinks.ledger_memory import is_refusal, read_causes
from sinks.ledger_reading import Connection, read_books, read_known, read_last_hash, read_origins
from sinks.ledger_rows import render
from sinks.ledger_taking import lock_shard
from sinks.ledger_writing import Batch, write_batch


def post_once(connection: Connection, transactions: Sequence[Transaction], shard: int = 0) -> Booked:
    """Post as one batch; durable when it returns. The connection must be in autocommit.

    Raises `InvariantError` if the database refuses what the fold accepts, and what psycopg raises if it is out of reach.
    """
    try:
        with connection.transaction():
            fence = lock_shard(connection, shard)
            books = _books(connection, transactions, shard)
            folded = fold(books, transactions)
            if folded.answered:
                batch = Batch(shard, fence, transactions, folded, render(books, folded))
                write_batch(connection, batch, read_last_hash(connection, shard))
    except psycopg.Error as error:
        if is_refusal(error):
            msg = f"the database refuses what the ledger has accepted: {error.diag.message_primary}"
            raise InvariantError(msg) from error
        raise
    return Booked(folded.verdicts, balances(books.rows | folded.rows, folded.seen))


def _books(connection: Connection, transactions: Sequence[Transaction], shard: int) -> Books:
    """As much of the books as these transactions can touch."""
    named = {one.cause.transaction_id for one in transactions if one.cause is not None}
    held = {account for origin in read_origins(connection, sorted(named)).values() for account, *_ in origin.held}
    codes = held | {entry.account for transaction in transactions for entry in transaction.entries}
    books = read_books(connection, shard, sorted(code for code in codes if "\x00" not in code))
    books.known = read_known(connection, [transaction.id for transaction in transactions])
    has_velocities = any(account.velocities for account in books.accounts.values())
    read_causes(connection, books, transactions, None, has_velocities=has_velocities)
    return books
