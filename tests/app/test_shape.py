"""The shape of saved state: written on the first start, compared on every other."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.replaying import memory_parts
from app.shape import FILE, check_shape, shape_of
from domain.errors import ConfigError
from domain.memory_ledger import MemoryLedger
from flows import liability
from tests.flows.streams import SETTINGS, recorded

FLOW = liability.flow(memory_parts(SETTINGS, recorded({}), MemoryLedger(), [], 1))
PARTITIONS = [("b", 0), ("a", 1), ("a", 0)]


def shape(**changes: Any) -> dict[str, Any]:
    """The shape of the liability flow, with some of it changed."""
    return shape_of(FLOW, PARTITIONS, 8, 1) | changes


def test_a_shape_says_what_state_is_found_by() -> None:
    """Stateful steps, input partitions in order, and the numbers of shards and lanes."""
    said = shape()
    assert ("liability", ["a/0", "a/1", "b/0"], 8, 1) == (
        said["flow"],
        said["partitions"],
        said["pairing_shards"],
        said["lanes"],
    )
    assert "liability.pair.book.shard" in said["steps"]
    assert not [step for step in said["steps"] if ".decode" in step]


def test_the_first_start_writes_the_shape_down(tmp_path: Path) -> None:
    """Afterwards the same shape is welcome, and the file is as it was."""
    check_shape(tmp_path, shape())
    written = (tmp_path / FILE).read_bytes()
    check_shape(tmp_path, shape())
    assert shape() == json.loads(written)
    assert written == (tmp_path / FILE).read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("flow", "other", 'flow was "liability", is "other"'),
        ("steps", ["renamed"], "steps was "),
        ("partitions", ["a/0"], 'partitions was ["a/0", "a/1", "b/0"], is ["a/0"]'),
        ("pairing_shards", 16, "pairing_shards was 8, is 16"),
        ("lanes", 2, "lanes was 1, is 2"),
    ],
)
def test_another_shape_is_refused(tmp_path: Path, name: str, value: Any, words: str) -> None:
    """A start that would not find its state again is one sentence that says what changed and what to do."""
    check_shape(tmp_path, shape())
    with pytest.raises(ConfigError, match="Start over an empty recovery folder") as error:
        check_shape(tmp_path, shape(**{name: value}))
    assert words in str(error.value)


def test_a_shape_that_is_short_of_something_is_refused(tmp_path: Path) -> None:
    """A file of an older program, which did not know of lanes, is not taken for the same."""
    (tmp_path / FILE).write_text(json.dumps({key: value for key, value in shape().items() if key != "lanes"}))
    with pytest.raises(ConfigError, match="lanes was null, is 1"):
        check_shape(tmp_path, shape())


def test_a_file_that_was_cut_off_is_one_sentence(tmp_path: Path) -> None:
    """A shape that cannot be read is no reason for a traceback."""
    (tmp_path / FILE).write_text('{"flow": "liab')
    with pytest.raises(ConfigError, match=f"{FILE} cannot be read"):
        check_shape(tmp_path, shape())
