"""The shape of a flow's saved state, and the refusal to start where some of that state would not be found again.

Bytewax finds a step's state by the step's id and silently starts empty when the id is another. So the first start over a
recovery folder writes down the ids of the stateful steps, the partitions of the flow's own inputs and what else fixes the
keys of its state; every later start compares. A step or a partition that came since is news: it starts with nothing, as it
has to. One that went, and a number that changed, leaves state behind that nobody would read: that is refused. So is a
topic that was made anew, or another cluster: the places that were saved are offsets into what is there no more.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bytewax.dataflow import Dataflow, Operator

from connectors.kafka.origin import Origin
from domain.errors import BOOKS_STAY, ConfigError
from domain.streams.records import source_name

FILE = "shape.json"
LISTS = ("steps", "partitions")
PLACES = ("cluster_id", "topic_ids")
"""What places are offsets into: compared as far as both are known, since not every broker tells."""

_STATEFUL = ("input", "stateful_batch", "output")
_WAY_BACK = {
    "steps": "run the program that saved it",
    "partitions": "name the broker that has them (Kafka takes no partition away: they were another topic's)",
}

Shape = Mapping[str, Any]


def shape_of(flow: Dataflow, partitions: Sequence[tuple[str, int]], origin: Origin, fixed: Mapping[str, int]) -> Shape:
    """Return what has to be there again for saved state to be found; `partitions` and `origin` are those of the flow's own
    inputs, `fixed` the numbers that keys of state are made with."""
    names = [source_name(topic, partition) for topic, partition in sorted(partitions)]
    ids = {"cluster_id": origin.cluster_id, "topic_ids": dict(origin.topic_ids)}
    return {"flow": flow.flow_id, "steps": sorted(_stateful_steps(flow)), "partitions": names, **ids, **fixed}


def _stateful_steps(flow: Dataflow) -> list[str]:
    found: list[str] = []

    def walk(operators: Sequence[Operator]) -> None:
        for operator in operators:
            if type(operator).__name__ in _STATEFUL:
                found.append(operator.step_id)
            walk(operator.substeps)

    walk(flow.substeps)
    return found


def check_shape(folder: Path, shape: Shape) -> list[str]:
    """Write the shape down, and return what came since the last start; ConfigError says what went or changed."""
    path = folder / FILE
    saved = _read(path) if path.exists() else shape
    why = refusal(saved, shape)
    if why is not None:
        msg = f"the state in {folder} is not that of this flow: {why}"
        raise ConfigError(msg)
    _write(path, json.dumps(_known(saved, shape), indent=2) + "\n")
    return [name for names in _came(saved, shape).values() for name in names]


def refusal(saved: Shape, shape: Shape) -> str | None:
    """Return why a flow cannot go on from what was saved, and the way on; None when it can."""
    if elsewhere := _elsewhere(saved, shape):
        return (
            f"{elsewhere}, and the places that were saved are offsets into the old. To read from the beginning, {BOOKS_STAY}"
        )
    went, changed = _went(saved, shape), _changed(saved, shape)
    if not went and not changed:
        return None
    came = [f"{kind} that came: {', '.join(names)}" for kind, names in _came(saved, shape).items() if names]
    gone = [f"{kind} that went: {', '.join(names)}" for kind, names in went.items()]
    back = [_WAY_BACK[kind] for kind in went] + ["set back what changed"] * bool(changed)
    return f"{'; '.join([*gone, *came, *changed])}. Either {' and '.join(back)}, or {BOOKS_STAY}"


def _elsewhere(saved: Shape, shape: Shape) -> str | None:
    """Return what is another than it was: the cluster, or else topics that were made anew."""
    before, now = saved.get("cluster_id"), shape["cluster_id"]
    if before and now and before != now:
        return f"it was saved over the cluster {before}, and kafka.bootstrap names the cluster {now}"
    ids, old = shape["topic_ids"], saved.get("topic_ids", {})
    anew = [topic for topic, id_ in sorted(ids.items()) if id_ and old.get(topic) and old[topic] != id_]
    return f"{_listed('the topic', anew)} deleted and made anew since" if anew else None


def _listed(noun: str, names: Sequence[str]) -> str:
    return f"{noun}{'s' * (len(names) > 1)} {', '.join(names)} {'were' if len(names) > 1 else 'was'}"


def _known(saved: Shape, shape: Shape) -> Shape:
    """Return the shape with the ids that were known before where the broker does not tell them now."""
    old = saved.get("topic_ids", {})
    topic_ids = {topic: id_ or old.get(topic) for topic, id_ in shape["topic_ids"].items()}
    return {**shape, "cluster_id": shape["cluster_id"] or saved.get("cluster_id"), "topic_ids": topic_ids}


def _came(saved: Shape, shape: Shape) -> dict[str, list[str]]:
    return {kind: [name for name in shape[kind] if name not in saved.get(kind, ())] for kind in LISTS}


def _went(saved: Shape, shape: Shape) -> dict[str, list[str]]:
    gone = {kind: [name for name in saved.get(kind, ()) if name not in shape[kind]] for kind in LISTS}
    return {kind: names for kind, names in gone.items() if names}


def _changed(saved: Shape, shape: Shape) -> list[str]:
    numbers = [name for name in shape if name not in (*LISTS, *PLACES) and saved.get(name) != shape[name]]
    return [f"{name} was {saved.get(name)}, is {shape[name]}" for name in numbers]


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
