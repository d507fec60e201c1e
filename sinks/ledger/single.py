"""The other entry point of the ledger: single postings, by whoever has one to make, while the shard's writer works on.

It takes the lock that every batch takes, reads what the postings touch, and folds and writes them as the writer does, so
they meet the same rules and the same guards. The writer notices by the chain of batches that somebody else has posted,
and forgets what that has changed. Each call costs seven round trips: for corrections and requests of people, not for streams.
"""

from collections.abc import Sequence

import psycopg

from domain.ledger.books import Books, balances
from domain.ledger.fold import fold
from domain.ledger.journal import Booked, Transaction
from sinks.ledger.memory import accounts_of, causes_of, contradiction, is_refusal, is_storable, windows_of
from sinks.ledger.reading import read_books, read_known, read_origins, read_state, read_used
from sinks.ledger.rows import render
from sinks.ledger.taking import lock_shard
from sinks.ledger.writing import Prepared, write_batch
from sinks.postgres import Connection


def post_once(
    connection: Connection, transactions: Sequence[Transaction], shard: int = 0, *, keeps_refusals: bool = True
) -> Booked:
    """Post as one batch; durable when it returns. The connection must be in autocommit.

    Without `keeps_refusals` a batch in which anything is refused is answered and leaves nothing: a person who could not do
    something may try again, where a posting from a stream, once rejected, stays rejected.

    Raises `InvariantError` if the database refuses what the fold accepts, and what psycopg raises if it is out of reach.
    """
    try:
        with connection.transaction():
            fence = lock_shard(connection, shard)
            state = read_state(connection, shard)
            books = _books(connection, transactions, shard, state.closed_until_ms)
            folded = fold(books, transactions)
            is_kept = keeps_refusals or not (folded.rejected or folded.conflicts)
            if folded.answered and is_kept:
                batch = Prepared(transactions, folded, render(books, folded), folded.rows)
                write_batch(connection, shard, fence, batch, state.hash)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        raise contradiction(error) from error
    return Booked(folded.verdicts, balances(books.rows | folded.rows, folded.seen))


def _books(connection: Connection, transactions: Sequence[Transaction], shard: int, closed_until_ms: int) -> Books:
    """As much of the books as these transactions can touch."""
    origins = read_origins(connection, sorted(causes_of(transactions)))
    codes = accounts_of(transactions, origins.values())
    books = read_books(connection, shard, [code for code in codes if is_storable(code)])
    books.closed_until_ms = closed_until_ms
    books.known = read_known(connection, [transaction.id for transaction in transactions])
    books.origins = origins
    books.used = read_used(connection, windows_of(books, transactions))
    return books
