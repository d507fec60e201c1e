"""The shape of saved state: written on the first start, compared on every other; what came is news, what went is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.workers.shape import FILE, Shape, check_shape, refusal, shape_of
from connectors.kafka.origin import Origin
from domain.errors import ConfigError
from domain.ledger.memory import MemoryLedger
from tests.flows.runs import FLOWS, Run, joints_of, recorded

FLOW = FLOWS["liability"](joints_of(recorded({}), Run([], MemoryLedger(), MemoryLedger())))
PARTITIONS = [("b", 0), ("a", 1), ("a", 0)]
ORIGIN = Origin("c-1", {"a": "id-a", "b": "id-b"})


def shape(**changes: Any) -> Shape:
    """The shape of the liability flow, with some of it changed."""
    return {**shape_of(FLOW, PARTITIONS, ORIGIN, {"lanes": 1}), **changes}


def test_a_shape_says_what_state_is_found_by() -> None:
    """Stateful steps, input partitions in order, and the number of lanes."""
    said = shape()
    assert ("liability", ["a/0", "a/1", "b/0"], 1) == (
        said["flow"],
        said["partitions"],
        said["lanes"],
    )
    assert "liability.pair" in said["steps"]
    assert not [step for step in said["steps"] if "read" in step]


def test_the_first_start_writes_the_shape_down(tmp_path: Path) -> None:
    """Afterwards the same shape is welcome, has nothing new, and the file is as it was."""
    assert [] == check_shape(tmp_path, shape())
    written = (tmp_path / FILE).read_bytes()
    assert [] == check_shape(tmp_path, shape())
    assert shape() == json.loads(written)
    assert written == (tmp_path / FILE).read_bytes()


def test_what_came_is_news(tmp_path: Path) -> None:
    """A new step and a new partition of an input start with nothing, and are there from then on."""
    check_shape(tmp_path, shape())
    grown = shape(steps=[*shape()["steps"], "liability.new"], partitions=["a/0", "a/1", "a/2", "b/0"])
    assert ["liability.new", "a/2"] == check_shape(tmp_path, grown)
    assert [] == check_shape(tmp_path, grown)
    with pytest.raises(ConfigError, match="partitions that went: a/2"):
        check_shape(tmp_path, shape(steps=grown["steps"]))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("flow", "other", "flow was liability, is other"),
        ("steps", ["renamed"], "steps that went: liability.book, liability.explain, liability.pair"),
        ("partitions", ["a/0"], "partitions that went: a/1, b/0"),
        ("lanes", 2, "lanes was 1, is 2"),
    ],
)
def test_what_went_is_refused(tmp_path: Path, name: str, value: Any, words: str) -> None:
    """A start that would not find its state again is told what went, and changes nothing."""
    check_shape(tmp_path, shape())
    with pytest.raises(ConfigError, match="start over an empty recovery folder") as error:
        check_shape(tmp_path, shape(**{name: value}))
    assert words in str(error.value)
    assert [] == check_shape(tmp_path, shape())


ANEW = "deleted and made anew since, and the places that were saved are offsets into the old"


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ({"topic_ids": {"a": "id-a", "b": "other"}}, f"the topic b was {ANEW}"),
        ({"topic_ids": {"a": "x", "b": "y"}}, f"the topics a, b were {ANEW}"),
        ({"cluster_id": "c-2"}, "over the cluster c-1, and kafka.bootstrap names the cluster c-2"),
        ({"cluster_id": "c-2", "topic_ids": {"a": "x", "b": "y"}}, "names the cluster c-2"),
        ({"cluster_id": None, "topic_ids": {"a": None, "b": None}}, None),
        ({"topic_ids": {"a": None, "b": "id-b", "c": "id-c"}}, None),
    ],
)
def test_places_are_offsets_into_what_was_there(ids: dict[str, Any], words: str | None) -> None:
    """A topic that was made anew, or another cluster, is refused by name; what the broker does not tell, or is new, is not."""
    said = refusal(shape(), shape(**ids))
    if words is None:
        assert said is None
    else:
        assert words in str(said)
        assert "start over an empty recovery folder: the ledger knows what it has booked" in str(said)


def test_an_id_that_is_not_told_now_is_not_forgotten(tmp_path: Path) -> None:
    """A start over a broker that tells no ids does not open the way for a topic that was made anew before the next one."""
    check_shape(tmp_path, shape())
    check_shape(tmp_path, shape(cluster_id=None, topic_ids={"a": None, "b": None}))
    with pytest.raises(ConfigError, match="the topic a was deleted and made anew"):
        check_shape(tmp_path, shape(topic_ids={"a": "other", "b": "id-b"}))


def test_a_refusal_shows_the_whole_difference() -> None:
    """What went, what came and what changed are named, however long the lists that they are in, and so is each way on."""
    many = [f"a/{n:04}" for n in range(500)]
    was, now = shape(partitions=many), shape(partitions=[*many[:-1], "a/new"], steps=["renamed"], lanes=2)
    said = str(refusal(was, now))
    for words in (
        "partitions that went: a/0499;",
        "partitions that came: a/new;",
        "steps that came: renamed;",
        "lanes was 1",
    ):
        assert words in said
    for way in ("run the program that saved it", "Kafka takes no partition away", "set back what changed"):
        assert way in said
    assert "a/0498" not in said


def test_a_shape_that_is_short_of_something_is_refused(tmp_path: Path) -> None:
    """A file that does not know of lanes is not taken for the same."""
    (tmp_path / FILE).write_text(json.dumps({key: value for key, value in shape().items() if key != "lanes"}))
    with pytest.raises(ConfigError, match="lanes was None, is 1"):
        check_shape(tmp_path, shape())


def test_a_file_that_was_cut_off_is_one_sentence(tmp_path: Path) -> None:
    """A shape that cannot be read is no reason for a traceback."""
    (tmp_path / FILE).write_text('{"flow": "liab')
    with pytest.raises(ConfigError, match=f"{FILE} cannot be read"):
        check_shape(tmp_path, shape())
