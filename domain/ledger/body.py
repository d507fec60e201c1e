"""The body of a transaction: what has to be the same for a repeat to be a repeat.

Everything that a transaction says is its body except where it came from: the same posting read at another offset is
still the same posting. The body is rendered in one canonical text, so its hash can be computed again from what the ledger
stores.

Metadata is canonical text from the start: JSON with sorted keys and without spaces, in UTF-8. The one thing that a message can
bring into it and no database can hold is a text with a NUL or half of a surrogate pair. Metadata with such a text is written
in plain ASCII, so that it can be hashed, kept and shown, and the ledger refuses it.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from typing import Any

from pydantic_core import to_json

from domain.ledger.journal import Cause, Entry, Group, Relation, Transaction

_in_ascii = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=repr).encode
_PLAIN = frozenset((str, int, bool, type(None)))
ENTRY_PLACE = "%s\x1f%s\x1f%d\x1f%d\x1f"
"""Account, currency, layer and side of an entry, as they stand in a body before its amount."""

_ENTRY = ENTRY_PLACE + "%s\x1e"
_NOT_STORABLE = re.compile("\\\\u(0000|d[89a-f])|[\ud800-\udfff]")
"""An escaped NUL, half of a surrogate pair as it is escaped in ASCII, and one that is not escaped."""


def meta_text(meta: Mapping[str, object]) -> str:
    """Write metadata as canonical JSON. TypeError, ValueError or RecursionError if it is not plain JSON."""
    plain = _ordered(meta)
    try:
        return canonical(to_json(plain).decode())
    except ValueError:
        # Half of a surrogate pair is the one thing in plain JSON that UTF-8 has no bytes for.
        return _in_ascii(plain)


def canonical(text: str) -> str:
    """Return JSON text with sorted keys as it is, or in ASCII if no database can hold it as metadata."""
    return text if can_be_stored(text) else _in_ascii(json.loads(text))


def can_be_stored(meta: str) -> bool:
    """Whether a database can hold this metadata."""
    if meta.isascii() and "\\" not in meta:
        return True
    # An escaped backslash before `u0000` spells those five letters, not a NUL.
    return _NOT_STORABLE.search(meta.replace("\\\\", "")) is None


quoted = json.encoder.encode_basestring
"""Write a text as it stands in canonical JSON."""


def _ordered(value: object) -> object:
    """The same JSON value with the keys of its objects sorted."""
    if type(value) in _PLAIN or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, Mapping):
        keys = _sorted(tuple(value))
        return {key: item if type(item := value[key]) in _PLAIN else _ordered(item) for key in keys}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    msg = f"{value!r} is not plain JSON"
    raise TypeError(msg)


@lru_cache(4096)
def _sorted(keys: tuple[str, ...]) -> tuple[str, ...]:
    # Metadata of one template has the same few keys every time.
    return tuple(sorted(["" + key for key in keys]))


def body_hash(transaction: Transaction) -> str:
    """32 hex digits that name the body."""
    _, template, effective_at_ms, entries, correlation_id, _, _, meta, cause, expires_at_ms, group = transaction
    legs = "".join([_ENTRY % entry for entry in entries])
    ties = None if cause is None and expires_at_ms is None and group is None else _ties(transaction)
    return hash_of(f"{template}\x1f{effective_at_ms}\x1f{correlation_id}\x1f{ties}\x1e{legs}{meta}")


def hash_of(text: str) -> str:
    """Hash the text of a body."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def cause_text(cause: Cause) -> str:
    """Render a cause as it is hashed: what the transaction does, and to which one."""
    return f"{cause.relation} {cause.transaction_id}"


def _ties(transaction: Transaction) -> str:
    """Its cause, expiry and group."""
    cause, expires_at_ms, group = transaction[8:11]
    ties = "None" if cause is None else f"{cause_text(cause)} {cause.is_final:d}"
    if expires_at_ms is not None or group is not None:
        ties += f"\x1f{expires_at_ms}\x1f" + (f"{group.id}\x1f{group.size}" if group else "")
    return ties


def payload(transaction: Transaction) -> str:
    """The whole transaction as JSON in plain ASCII, whatever is in it: how a refused one is kept."""
    meta, entries = json.loads(transaction.meta), [entry._asdict() for entry in transaction.entries]
    return _in_ascii({**transaction._asdict(), "meta": meta, "entries": entries})


def transaction_from(kept: Mapping[str, Any]) -> Transaction:
    """Return the transaction that `payload` wrote; an amount that was no number comes back as the text that it was kept as."""
    cause, group = kept["cause"], kept["group"]
    told = {
        "entries": tuple([Entry(**entry) for entry in kept["entries"]]),
        "cause": Cause(Relation(cause[0]), *cause[1:]) if cause else None,
        "group": Group(*group) if group else None,
        "meta": meta_text(kept["meta"]),
    }
    return Transaction(**{**kept, **told})
