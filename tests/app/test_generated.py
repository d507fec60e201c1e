"""Generated files: complete, stable, and any drift is found."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from app.generated import EXAMPLE, SCHEMAS, drifted, generated_files, write_generated
from domain.topics import ALL, BY_NAME, TOPICS

ASYNCAPI = f"{SCHEMAS}/asyncapi.json"


def test_generating_twice_gives_the_same() -> None:
    """Byte for byte, in the same order."""
    assert list(generated_files().items()) == list(generated_files().items())


def test_what_was_written_has_not_drifted(tmp_path: Path) -> None:
    """Everything drifts before the first writing, nothing after it, and a second writing writes nothing."""
    assert list(generated_files()) == drifted(tmp_path)
    assert list(generated_files()) == write_generated(tmp_path)
    assert [] == drifted(tmp_path)
    assert [] == write_generated(tmp_path)


@pytest.mark.parametrize("path", [ASYNCAPI, EXAMPLE, f"{SCHEMAS}/Tick.json"])
@pytest.mark.parametrize("damage", ["changed", "removed", "emptied"])
def test_drift_is_found_and_mended(path: str, damage: str, tmp_path: Path) -> None:
    """A byte that is not as generated is enough, and only that file is written anew."""
    write_generated(tmp_path)
    file = tmp_path / path
    if damage == "removed":
        file.unlink()
    else:
        file.write_text(file.read_text().replace("e", "E", 1) if damage == "changed" else "")
    assert [path] == drifted(tmp_path)
    assert [path] == write_generated(tmp_path)
    assert generated_files()[path] == file.read_text()


def test_every_topic_is_in_the_document() -> None:
    """With its address, a payload whose schema is generated too, and its direction as seen from Ballast."""
    files = generated_files()
    document = json.loads(files[ASYNCAPI])
    channels = {channel["address"]: channel for channel in document["channels"].values()}
    assert sorted(topic.name for topic in ALL) == sorted(channels)
    for topic in ALL:
        (message,) = channels[topic.name]["messages"].values()
        assert f"{SCHEMAS}/{message['payload']['$ref']}" in files
        action = document["operations"][topic.name.replace(".", "_")]["action"]
        assert ("receive" if topic.direction == "in" else "send") == action


@pytest.mark.parametrize("topic", sorted(topic.name for topic in TOPICS if topic.model.examples))
def test_examples_keep_to_the_published_schema(topic: str) -> None:
    """What people are shown to type has the published fields, and leaves out none that is required."""
    schema = json.loads(generated_files()[f"{SCHEMAS}/{BY_NAME[topic].model.__name__}.json"])
    for line in BY_NAME[topic].model.examples:
        fields = TypeAdapter(dict[str, object]).validate_json(line).keys()
        assert set(schema["required"]) <= fields <= schema["properties"].keys()
