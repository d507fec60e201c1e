"""The files that are made from the code: JSON Schemas, the AsyncAPI document, and the example of all settings.

They are committed, so that a reader and a reviewer see a change of them; `ballast schemas --check` fails on any drift.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.settings import Settings
from domain.topics import ALL, Topic

ROOT = Path(__file__).parents[1]
SCHEMAS = "docs/schemas"
EXAMPLE = "ballast.example.toml"


def generated_files() -> dict[str, str]:
    """Path below the project to content."""
    models = {topic.model.__name__: topic.model for topic in ALL}
    files = {
        f"{SCHEMAS}/{name}.json": _json(model.model_json_schema(mode="validation")) for name, model in sorted(models.items())
    }
    return files | {f"{SCHEMAS}/asyncapi.json": _json(_asyncapi()), EXAMPLE: settings_example()}


def drifted(root: Path = ROOT) -> list[str]:
    """Paths whose committed content is not what the code generates."""
    return [
        path
        for path, content in generated_files().items()
        if not (root / path).is_file() or (root / path).read_text() != content
    ]


def write_generated(root: Path = ROOT) -> list[str]:
    """Write what drifted; returns the paths."""
    changed = drifted(root)
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(generated_files()[path])
    return changed


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _asyncapi() -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Ballast", "version": "1", "description": "Topics of the streaming treasury."},
        "defaultContentType": "application/json",
        "channels": {_identifier(topic): _channel(topic) for topic in ALL},
        "operations": {_identifier(topic): _operation(topic) for topic in ALL},
    }


def _identifier(topic: Topic) -> str:
    return topic.name.replace(".", "_")


def _channel(topic: Topic) -> dict[str, Any]:
    kafka = {"partitions": topic.partitions, "topicConfiguration": {"cleanup.policy": [_cleanup(topic)]}}
    return {
        "address": topic.name,
        "description": topic.doc,
        "messages": {topic.model.__name__: {"payload": {"$ref": f"{topic.model.__name__}.json"}}},
        "bindings": {"kafka": kafka},
    }


def _cleanup(topic: Topic) -> str:
    return "compact" if topic.compacted else "delete"


def _operation(topic: Topic) -> dict[str, Any]:
    action = "receive" if topic.direction == "in" else "send"
    return {"action": action, "channel": {"$ref": f"#/channels/{_identifier(topic)}"}}


def settings_example() -> str:
    """Every setting with its default, commented out."""
    lines = [
        "# Every setting of Ballast with its default, commented out. Copy what you change into ballast.toml.",
        "# The environment wins over the file: BALLAST_KAFKA__BOOTSTRAP sets kafka.bootstrap.",
    ]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type), "a section is a model"  # noqa: S101
        assert issubclass(section, BaseModel), "a section is a model"  # noqa: S101
        lines += ["", *(f"# {line}".rstrip() for line in (section.__doc__ or "").splitlines()), f"[{name}]"]
        lines += [line for key, value in section.model_fields.items() for line in _setting(key, value)]
    return "\n".join(lines) + "\n"


def _setting(name: str, field: FieldInfo) -> list[str]:
    about = [f"# {field.description}"] if field.description else []
    default = field.default
    if default is None:
        return [*about, f"# {name} ="]
    return [*about, f"# {name} = {_toml(default)}"]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, bool | int):
        return str(value).lower()
    return json.dumps("***" if isinstance(value, SecretStr) else str(value))
