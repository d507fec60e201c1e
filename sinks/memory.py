"""A list as a sink, for replays and tests: part of the recovery barrier, unlike the built-in testing sink."""

from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition


class ListSink(FixedPartitionedSink[Any, None]):
    """Appends what it is given to `items`."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def list_parts(self) -> list[str]:
        return ["list-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Listing":
        return _Listing(self._items)


class _Listing(StatefulSinkPartition[Any, None]):
    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def write_batch(self, values: list[Any]) -> None:
        self._items.extend(values)

    def snapshot(self) -> None:
        return None
