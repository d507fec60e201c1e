"""Micro-batches: what comes is collected until there is enough of it, or until the first of it has waited long enough."""

from typing import Generic, Literal, NamedTuple, TypeVar

T = TypeVar("T")

Why = Literal["size", "time", "end"]


class Batch(NamedTuple, Generic[T]):
    """What is to be done together, and why it waited no longer."""

    items: tuple[T, ...]
    why: Why


class Batcher(Generic[T]):
    """Collects; at most `size_max` at once, and none waits longer than `wait_max_ms` after the first."""

    def __init__(self, size_max: int, wait_max_ms: int) -> None:
        self._size_max, self._wait_max_ms = size_max, wait_max_ms
        self._items: list[T] = []
        self._since_ms = 0

    @property
    def due_ms(self) -> int | None:
        """When what is collected has waited long enough; None while there is nothing."""
        return self._since_ms + self._wait_max_ms if self._items else None

    def add(self, at_ms: int, item: T) -> Batch[T] | None:
        """Take one more; return a batch that is full with it."""
        if not self._items:
            self._since_ms = at_ms
        self._items.append(item)
        return self._flushed("size") if len(self._items) >= self._size_max else None

    def wake(self, at_ms: int) -> Batch[T] | None:
        """Return what has waited long enough by now."""
        due_ms = self.due_ms
        return self._flushed("time") if due_ms is not None and due_ms <= at_ms else None

    def close(self) -> Batch[T] | None:
        """Return what is left."""
        return self._flushed("end") if self._items else None

    def _flushed(self, why: Why) -> Batch[T]:
        items, self._items = tuple(self._items), []
        return Batch(items, why)
