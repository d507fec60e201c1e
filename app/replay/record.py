"""Recorded topics, as `replay` reads them: `<topic>.jsonl`, message by message with its coordinates, which is kept here, or what
a snapshot or an archive has of them as Parquet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from connectors.recorded import Recorded, read_folder, write_line
from domain.streams.records import RawMessage
from domain.topics import ALL, Topic
from sinks.archive.reading import is_kept, messages_in


def record_topics(kafka: KafkaSettings, folder: Path) -> dict[str, int]:
    """Write what the topics hold now; returns how many messages each has. Lines are in order of partition and offset."""
    folder.mkdir(parents=True, exist_ok=True)
    peek = Peek(kafka)
    try:
        return {topic.name: _record(peek, topic.name, folder) for topic in ALL}
    finally:
        peek.close()


def read_recorded(folder: Path, topics: Sequence[Topic[Any]]) -> Recorded:
    """Read the recorded topics of a folder, of lines or of Parquet; what has nothing there is empty."""
    if not is_kept(folder):
        return read_folder(folder, topics)
    empty = {(topic.name, partition): list[RawMessage]() for topic in topics for partition in range(topic.partitions)}
    return empty | messages_in(folder, [topic.name for topic in topics])


def _record(peek: Peek, topic: str, folder: Path) -> int:
    messages = sorted(((partition, message) for (_, partition), message in peek.everything(topic)), key=_coordinates)
    with (folder / f"{topic}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for partition, message in messages:
            file.write(f"{write_line(message, partition)}\n")
    return len(messages)


def _coordinates(pair: tuple[int, RawMessage]) -> tuple[int, int]:
    return pair[0], pair[1].offset
