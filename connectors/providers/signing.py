"""What is signed, and how: our requests to a provider of kind http, and the webhooks that it sends.

A request is signed over its method, its target, the time, a nonce and its raw body, a line each, so that none of them can be
changed and none can be sent again. A webhook is signed as Standard Webhooks says: over its id, its time and its raw body.
"""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

KEY, TIMESTAMP, NONCE, SIGNATURE = "X-Key", "X-Timestamp", "X-Nonce", "X-Signature"
AGE_MAX_SECONDS = 300
_PREFIX = "whsec_"


def request_signature(secret: str, method: str, target: str, timestamp: str, nonce: str, body: bytes) -> str:
    """Return the signature of a request, in hexadecimal digits."""
    head = "\n".join((method, target, timestamp, nonce, "")).encode()
    return hmac.new(secret.encode(), head + body, sha256).hexdigest()


def webhook_signature(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a webhook; a secret that begins with whsec_ is base64 after it."""
    key = b64decode(secret.removeprefix(_PREFIX)) if secret.startswith(_PREFIX) else secret.encode()
    signed = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, sha256).digest()
    return f"v1,{b64encode(signed).decode()}"
