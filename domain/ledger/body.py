"""The body of a transaction: what has to be the same for a repeat to be a repeat.

Everything that a transaction says is its body except where it came from: the same posting read at another offset is
still the same posting. The body is rendered in one canonical text, with the metadata as JSON with sorted keys, so its
hash can be computed again from what the ledger stores.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from json import JSONEncoder
from math import isfinite
from typing import Any

from pydantic_core import to_json

from domain.ledger.journal import Cause, Entry, Group, Relation, Transaction

_encode_leniently = JSONEncoder(sort_keys=True, separators=(",", ":"), default=repr, skipkeys=True).encode
_PLAIN = frozenset((str, int, bool, type(None)))
_ENTRY = "%s\x1f%s\x1f%d\x1f%d\x1f%s\x1e"


def meta_text(meta: Mapping[str, Any]) -> str | None:
    """The metadata as canonical JSON, or None if a database cannot hold it as such.

    It cannot if a value is not plain JSON, or if a text has a NUL or half of a surrogate pair in it.
    """
    try:
        text = to_json(_ordered(meta)).decode()
    except (TypeError, ValueError, RecursionError):
        return None
    # An escaped backslash before `u0000` spells those five letters, not a NUL.
    return None if "\\u0000" in text and "\\u0000" in text.replace("\\\\", "") else text


def _ordered(value: Any) -> Any:
    """The same JSON value with the keys of its objects sorted."""
    kind = type(value)
    if kind is dict:
        keys = tuple(value)
        ordered = _sorted(keys)
        if ordered == keys and _PLAIN.issuperset(map(type, value.values())):
            return value
        return {key: item if type(item := value[key]) in _PLAIN else _ordered(item) for key in ordered}
    if kind is list or kind is tuple:
        return [_ordered(item) for item in value]
    if kind in _PLAIN or (kind is float and isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return _ordered(dict(value))
    msg = f"{kind.__name__} is not plain JSON"
    raise TypeError(msg)


@lru_cache(4096)
def _sorted(keys: tuple[str, ...]) -> tuple[str, ...]:
    # Metadata of one template has the same few keys every time.
    return tuple(sorted(["" + key for key in keys]))


def body_hash(transaction: Transaction, meta: str | None) -> str:
    """32 hex digits that name the body; `meta` is its `meta_text`."""
    _, template, effective_at_ms, entries, correlation_id, _, _, raw_meta, cause, expires_at_ms, group = transaction
    if meta is None:
        meta = _encode_leniently(raw_meta)
    legs = "".join([_ENTRY % entry for entry in entries])
    ties = None if cause is None and expires_at_ms is None and group is None else _ties(transaction)
    text = f"{template}\x1f{effective_at_ms}\x1f{correlation_id}\x1f{ties}\x1e{legs}{meta}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


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
    return _encode_leniently({**transaction._asdict(), "entries": [entry._asdict() for entry in transaction.entries]})


def transaction_from(kept: Mapping[str, Any]) -> Transaction:
    """Return the transaction that `payload` wrote; what was no plain JSON comes back as the text that it was kept as."""
    cause, group = kept["cause"], kept["group"]
    told = {
        "entries": tuple([Entry(**entry) for entry in kept["entries"]]),
        "cause": Cause(Relation(cause[0]), *cause[1:]) if cause else None,
        "group": Group(*group) if group else None,
    }
    return Transaction(**{**kept, **told})
