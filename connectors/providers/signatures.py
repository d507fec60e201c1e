"""Is a webhook from the provider, as it was sent, and of now? A pure function per kind of provider.

| kind | what is signed | by what | where |
|---|---|---|---|
| http | `id.timestamp.body` | HMAC-SHA256, base64 (Standard Webhooks) | `webhook-id`, `webhook-timestamp`, `webhook-signature` |
| due | the body, which says when it was sent | Ed25519, base64 | `x-due-signature` |
| zerohash | the body, then the milliseconds | HMAC-SHA256, hex | `x-zh-hook-timestamp`, `x-zh-hook-signature` |

The signature is judged first: only who can sign is told that a clock is wrong. Every secret is tried on every signature,
whichever fits, and what is compared is compared in constant time, so an answer's time says nothing of a secret. A secret
of Due is its public key in PEM; one of the others that begins with `whsec_` is base64, and any other is its own bytes.

What is signed must have one reading. An id with a point in it could be moved into the time behind it, so there is none.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest, digest
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from connectors.providers.webhooks import Kind, Unreadable, due_sent_ms

AGE_MAX_MS = 300_000
"""A webhook that was sent longer ago than this, or so far ahead, may be one that somebody has kept."""

SIGNATURES_MAX = 16
WHOLE_PREFIX = "whsec_"

Refusal = Literal["forged", "old", "early"]
Headers = Mapping[str, str]
"""By their names in lower case."""

Verify = Callable[[Headers, bytes, Sequence[str], int], Refusal | None]

_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
_ID = re.compile(r"[!-\-/-~]{1,64}", re.ASCII)
"""What can be seen, without a point."""


def verify(kind: Kind, headers: Headers, body: bytes, secrets: Sequence[str], now_ms: int) -> Refusal | None:
    """Return why a webhook is not to be believed, None if it is."""
    return VERIFIERS[kind](headers, body, secrets, now_ms)


def verify_standard(headers: Headers, body: bytes, secrets: Sequence[str], now_ms: int) -> Refusal | None:
    """Judge a webhook that is signed as Standard Webhooks are; it may bear several signatures, one per secret in use."""
    name, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
    fits = _fits(f"{name}.{seconds}.".encode() + body, secrets, given, _in_base64)
    if not (fits and _ID.fullmatch(name) and _DIGITS.fullmatch(seconds)):
        return "forged"
    return _judge_age(int(seconds) * 1000, now_ms)


def verify_zerohash(headers: Headers, body: bytes, secrets: Sequence[str], now_ms: int) -> Refusal | None:
    """Judge a webhook of Zero Hash by the signature that counts its time in; the older one of the body alone never lapses."""
    sent = headers.get("x-zh-hook-timestamp", "")
    fits = _fits(body + sent.encode(), secrets, [headers.get("x-zh-hook-signature", "")], bytes.hex)
    if not (fits and _DIGITS.fullmatch(sent)):
        return "forged"
    return _judge_age(int(sent), now_ms)


def verify_due(headers: Headers, body: bytes, secrets: Sequence[str], now_ms: int) -> Refusal | None:
    """Judge a webhook of Due; when it was sent stands in its body, and what does not say so is read no further here."""
    signature = _from_base64(headers.get("x-due-signature", ""))
    if True not in [_is_signed(body, signature, key) for key in secrets]:
        return "forged"
    sent_ms = due_sent_ms(body)
    return None if isinstance(sent_ms, Unreadable) else _judge_age(sent_ms, now_ms)


def is_secret(text: str) -> bool:
    """Whether a secret can be used; one that begins with `whsec_` and is no base64 after that cannot."""
    try:
        return bool(_key(text))
    except (NoBase64, ValueError):
        return False


VERIFIERS: Mapping[Kind, Verify] = {"http": verify_standard, "due": verify_due, "zerohash": verify_zerohash}


def _judge_age(sent_ms: int, now_ms: int) -> Refusal | None:
    if abs(now_ms - sent_ms) <= AGE_MAX_MS:
        return None
    return "old" if sent_ms < now_ms else "early"


def _fits(content: bytes, secrets: Sequence[str], given: Sequence[str], text: Callable[[bytes], str]) -> bool:
    """Whether one of the secrets makes one of the signatures; all are tried."""
    made = [text(digest(_key(secret), content, "sha256")).encode() for secret in secrets]
    return True in [compare_digest(one, other.encode()) for one in made for other in given]


def _in_base64(made: bytes) -> str:
    return f"v1,{b64encode(made).decode()}"


def _key(secret: str) -> bytes:
    if not secret.startswith(WHOLE_PREFIX):
        return secret.encode()
    return b64decode(secret.removeprefix(WHOLE_PREFIX), validate=True)


def _from_base64(text: str) -> bytes:
    """Return the bytes; none if they are written in another way than the one that is usual."""
    try:
        found = b64decode(text, validate=True)
    except (NoBase64, ValueError):
        return b""
    return found if b64encode(found).decode() == text else b""


def _is_signed(body: bytes, signature: bytes, pem: str) -> bool:
    key = _public_key(pem)
    if key is None:
        return False
    try:
        key.verify(signature, body)
    except InvalidSignature:
        return False
    return True


def _public_key(pem: str) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None
