"""One transaction at a time, through the entry point that is made for it."""

import time
from collections.abc import Sequence
from itertools import pairwise

from app.bench.posting.cpu import metered
from app.bench.posting.running import Sample, settle
from domain.ledger.journal import Transaction
from sinks.ledger.single import post_once
from sinks.postgres import connect


def posted_singly(dsn: str, transactions: Sequence[Transaction], warm: Sequence[Transaction]) -> Sample:
    """Post `warm` untimed, then `transactions`, each with a call and a commit of its own."""
    with connect(dsn, "writer", "bench") as connection:
        for transaction in warm:
            post_once(connection, [transaction])
        settle(dsn)
        with metered(dsn) as taken:
            ends = [time.perf_counter()]
            for transaction in transactions:
                post_once(connection, [transaction])
                ends.append(time.perf_counter())
    took = tuple(after - before for before, after in pairwise(ends))
    return Sample(len(transactions), ends[-1] - ends[0], len(transactions), took, *taken)
