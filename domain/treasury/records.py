"""What the treasury needs of whoever keeps its records: to write down what was said, and to tell what people say there."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from domain.messages.fields import Message
from domain.messages.treasury import BufferThresholds


class Records(Protocol):
    """Keeps what the treasury says; a call is committed when it returns, and the same again changes nothing."""

    def record(self, messages: Sequence[Message]) -> None:
        """Write messages down, all or none."""
        ...


class Version(NamedTuple):
    """Thresholds that somebody has written into the records, by an id that grows."""

    id: int
    thresholds: BufferThresholds


class Versions(Protocol):
    """Tells what people write into the records by themselves; one thread at a time."""

    def after(self, id_: int, limit: int) -> Sequence[Version]:
        """Return what was written with a larger id, the smallest first."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when something was written, after so many seconds at the latest."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
