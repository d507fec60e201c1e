"""Records on their way as bytes, for snapshots.

Bytewax pickles what a snapshot holds, and to pickle an object costs many times what it costs to write its fields down. So
records go into a snapshot as MessagePack, and come out of it as what they were: the version in front of the snapshot says of
which shape.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from domain.streams.records import Record, Snapshot

T = TypeVar("T")

Packed = bytes | Sequence[Record[T]]


class Packing(Generic[T]):
    """Packs and unpacks records with values of one kind."""

    def __init__(self, kind: type[T]) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Record[kind]]).decode  # type: ignore[valid-type]

    def pack(self, records: Sequence[Record[T]]) -> Packed[T]:
        """Return records as bytes; or as they are, if one has a number that is too large for MessagePack."""
        try:
            return self._encode(records)
        except OverflowError:
            return records

    def unpack(self, packed: Packed[T]) -> Sequence[Record[T]]:
        """Return the records that were packed."""
        return self._decode(packed) if isinstance(packed, bytes) else packed

    def pack_merge(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot of a merge with the records that wait in it packed."""
        watermarks, waiting, *rest = snapshot
        return watermarks, self.pack(waiting), *rest

    def unpack_merge(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot that was packed."""
        watermarks, packed, *rest = snapshot
        return watermarks, self.unpack(packed), *rest
