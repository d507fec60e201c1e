"""Two writers at once: a process per shard, each over accounts of its own, started together.

The rate is all that they post over the time from the first that begins to the last that ends.
"""

import multiprocessing
import time
from multiprocessing.connection import Connection

from app.bench.posting.load import Load, transactions
from app.bench.posting.running import Sample, timed, writer
from app.bench.posting.scratch import SHARDS

_context = multiprocessing.get_context("spawn")


def posted_on_shards(dsn: str, count: int, batch: int, warm: int) -> Sample:
    """Have `count` transactions posted on each shard, after `warm` untimed ones."""
    ends = [_start(dsn, shard, count, batch, warm) for shard in range(SHARDS)]
    for end in ends:
        end.recv()
    for end in ends:
        end.send("go")
    spans = [end.recv() for end in ends]
    seconds = max(ended for _, ended, _ in spans) - min(began for began, _, _ in spans)
    took = [each for _, _, sample in spans for each in sample.batch_seconds]
    accepted = sum(sample.posted for _, _, sample in spans)
    return Sample(SHARDS * count, seconds, accepted, tuple(took))


def _start(dsn: str, shard: int, count: int, batch: int, warm: int) -> "Connection[str, tuple[float, float, Sample]]":
    ours, theirs = _context.Pipe()
    _context.Process(target=_post, args=(theirs, dsn, shard, count, batch, warm), daemon=True).start()
    theirs.close()  # so that ours ends when the process does
    return ours


def _post(end: Connection, dsn: str, shard: int, count: int, batch: int, warm: int) -> None:
    postings = transactions(Load(shard=shard), 0, warm + count)
    with writer(dsn, batch, shard) as opened:
        opened.ledger.post(postings[:warm])
        end.send("ready")
        end.recv()
        began = time.monotonic()
        sample = timed(opened, postings[warm:])
        end.send((began, time.monotonic(), sample))
