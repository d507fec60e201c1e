"""The shape of a flow's saved state, and the refusal to start over another one.

Bytewax finds a step's state by the step's id and silently starts empty when the id is another. So the first start over a
recovery folder writes down the ids of the stateful steps, the input partitions and what else fixes the keys of the state;
every later start compares.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bytewax.dataflow import Dataflow, Operator

from domain.errors import ConfigError

FILE = "shape.json"
_STATEFUL = ("input", "stateful_batch", "output")


def shape_of(flow: Dataflow, partitions: list[tuple[str, int]], shards: int, lanes: int) -> dict[str, Any]:
    """What must stay as it is for saved state to be found again."""
    return {
        "flow": flow.flow_id,
        "steps": sorted(_stateful_steps(flow)),
        "partitions": [f"{topic}/{partition}" for topic, partition in sorted(partitions)],
        "pairing_shards": shards,
        "lanes": lanes,
    }


def _stateful_steps(flow: Dataflow) -> list[str]:
    found: list[str] = []

    def walk(operators: Sequence[Operator]) -> None:
        for operator in operators:
            if type(operator).__name__ in _STATEFUL:
                found.append(operator.step_id)
            walk(operator.substeps)

    walk(flow.substeps)
    return found


def check_shape(folder: Path, shape: dict[str, Any]) -> None:
    """Write the shape on the first start; ConfigError on a later one says what is not as it was."""
    path = folder / FILE
    if not path.exists():
        _write(path, json.dumps(shape, indent=2) + "\n")
        return
    saved = _read(path)
    changed = [name for name, value in shape.items() if saved.get(name) != value]
    if changed:
        differences = "; ".join(f"{name} was {_short(saved.get(name))}, is {_short(shape[name])}" for name in changed)
        msg = (
            f"the state in {folder} was saved by a flow of another shape and would not be found again: {differences}. "
            "Start over an empty recovery folder (the ledger keeps its books; topics are read from their beginning), "
            "or set back what changed"
        )
        raise ConfigError(msg)


def _write(path: Path, text: str) -> None:
    """Whoever is killed half way leaves no half of a file behind."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text)
    unfinished.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        msg = f"{path} cannot be read ({error}); start over an empty recovery folder (the ledger keeps its books)"
        raise ConfigError(msg) from error
    return saved


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
