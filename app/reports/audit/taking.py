"""The snapshot that an audit is of: of what runs, or of what a demo has left, whose broker kept nothing."""

from contextlib import closing
from functools import partial
from pathlib import Path

from app.places.addresses import open_books
from app.settings import Settings
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.times import text_of
from domain.topics import BY_NAME
from sinks.archive.snapshot import About, History, take


def take_snapshot(settings: Settings, folder: Path, *, is_live: bool) -> None:
    """Write a snapshot to a folder; with `is_live` only of what runs or is named."""
    with open_books(settings, is_live=is_live) as (dsn, kafka):
        snapshot_of(dsn, kafka, folder, settings.pairing.rule)


def snapshot_of(dsn: str, kafka: KafkaSettings | None, folder: Path, pairing: str, history: History | None = None) -> None:
    """Write a snapshot of a ledger, and of all topics of a broker if there is one; `history` is what a demo has played."""
    about = About(None, text_of(now_ms()), pairing, history)
    if kafka is None:
        take(dsn, {}, folder, about)
        return
    with closing(Peek(kafka)) as peek:
        topics = {name: partial(peek.everything, name) for name in BY_NAME}
        take(dsn, topics, folder, about._replace(cluster_id=peek.cluster_id()))
