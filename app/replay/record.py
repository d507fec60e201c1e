"""Keeps every topic as `<topic>.jsonl`, message by message with its coordinates, as `replay` reads it."""

from pathlib import Path

from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from connectors.recorded import write_line
from domain.streams.records import RawMessage
from domain.topics import ALL


def record_topics(kafka: KafkaSettings, folder: Path) -> dict[str, int]:
    """Write what the topics hold now; returns how many messages each has. Lines are in order of partition and offset."""
    folder.mkdir(parents=True, exist_ok=True)
    peek = Peek(kafka)
    try:
        return {topic.name: _record(peek, topic.name, folder) for topic in ALL}
    finally:
        peek.close()


def _record(peek: Peek, topic: str, folder: Path) -> int:
    messages = sorted(((partition, message) for (_, partition), message in peek.everything(topic)), key=_coordinates)
    with (folder / f"{topic}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for partition, message in messages:
            file.write(f"{write_line(message, partition)}\n")
    return len(messages)


def _coordinates(pair: tuple[int, RawMessage]) -> tuple[int, int]:
    return pair[0], pair[1].offset
