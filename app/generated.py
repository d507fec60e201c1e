"""What is made from the code: JSON Schemas, the AsyncAPI document, the example of all settings, the README's map of the house.

They are committed, so that a reader and a reviewer see a change of them; `ballast schemas --check` fails on any drift.
"""

import ast
import json
import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.settings import Settings
from domain.topics import ALL, Topic

ROOT = Path(__file__).parents[1]
SCHEMAS = "docs/schemas"
EXAMPLE = "ballast.example.toml"
README = "README.md"
FLOORS = ("domain", "operators", "flows", "sinks", "connectors", "app")
HOUSE = re.compile(r"(?<=<!-- house -->\n```\n).*?(?=```\n<!-- /house -->)", re.DOTALL)
"""The part of the README between these marks is generated."""


def generated_files() -> dict[str, str]:
    """Path below the project to content."""
    models = {topic.model.__name__: topic.model for topic in ALL}
    files = {
        f"{SCHEMAS}/{name}.json": _json(model.model_json_schema(mode="validation")) for name, model in sorted(models.items())
    }
    return files | {f"{SCHEMAS}/asyncapi.json": _json(_asyncapi()), EXAMPLE: settings_example(), README: readme()}


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


def _identifier(topic: Topic[Any]) -> str:
    return topic.name.replace(".", "_")


def _channel(topic: Topic[Any]) -> dict[str, Any]:
    kafka = {"partitions": topic.partitions, "topicConfiguration": {"cleanup.policy": [_cleanup(topic)]}}
    return {
        "address": topic.name,
        "description": topic.doc,
        "messages": {topic.model.__name__: {"payload": {"$ref": f"{topic.model.__name__}.json"}}},
        "bindings": {"kafka": kafka},
    }


def _cleanup(topic: Topic[Any]) -> str:
    return "compact" if topic.compacted else "delete"


def _operation(topic: Topic[Any]) -> dict[str, Any]:
    action = "receive" if topic.direction == "in" else "send"
    return {"action": action, "channel": {"$ref": f"#/channels/{_identifier(topic)}"}}


def readme() -> str:
    """The README, with the map of the house as it is."""
    return HOUSE.sub(lambda _: "".join(f"{line}\n" for line in house()), (ROOT / README).read_text())


def house() -> Iterator[str]:
    """Every room by its path, with what its first line says of it, and the modules in it."""
    for room in sorted(path.parent for floor in FLOORS for path in (ROOT / floor).rglob("__init__.py")):
        name = str(room.relative_to(ROOT))
        depth = "  " * name.count("/")
        said = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
        modules = sorted(path.stem for path in room.glob("*.py") if path.stem != "__init__")
        yield f"{depth}{room.name}/".ljust(17) + said.partition("\n")[0]
        yield from wrap(" ".join(modules), 118, initial_indent=" " * 19, subsequent_indent=" " * 19)


def settings_example() -> str:
    """Every setting with its default, commented out."""
    lines = [
        "# Every setting of Ballast with its default, commented out. Copy what you change into ballast.toml.",
        "# The environment wins over the file: BALLAST_KAFKA__BOOTSTRAP sets kafka.bootstrap.",
    ]
    defaults = Settings.model_construct()
    for name, field in Settings.model_fields.items():
        section = getattr(defaults, name)
        lines += _table(name, section) if section != {} else _table_of_any_name(name, get_args(field.annotation)[1])
    return "\n".join(lines) + "\n"


def _table_of_any_name(name: str, section: type[BaseModel]) -> list[str]:
    """A section of which there is none by itself; indented, so that the table above does not take it."""
    lines = [line for key, field in section.model_fields.items() for line in _setting(key, field)]
    return ["", *_about(section), f"# [{name}.NAME]", *(line.replace("# ", "#   ", 1) for line in lines)]


def _about(section: type[BaseModel]) -> list[str]:
    return [f"# {line}".rstrip() for line in cleandoc(section.__doc__ or "").splitlines()]


def _table(name: str, value: object) -> list[str]:
    """A section as a table, and the sections in it as tables of their own behind it."""
    if isinstance(value, dict):
        return [line for key, section in value.items() for line in _table(f"{name}.{key}", section)]
    assert isinstance(value, BaseModel), "a section is a model"  # noqa: S101
    fields = type(value).model_fields
    tables = {key: inner for key in fields if isinstance(inner := getattr(value, key), BaseModel)}
    lines = ["", *_about(type(value)), f"[{name}]"]
    lines += [line for key, field in fields.items() if key not in tables for line in _setting(key, field)]
    return lines + [line for key, inner in tables.items() for line in _table(f"{name}.{key}", inner)]


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
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps("***" if isinstance(value, SecretStr) else str(value))
