"""Whether a webhook is the provider's, as it was sent, and of now."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import new

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.signatures import AGE_MAX_MS, Refusal, is_secret, verify
from connectors.providers.webhooks import Kind

NOW_MS = 1_770_000_000_000
BODY = b'{"id":"evt-1","attemptedAt":"2026-02-02T02:40:00Z"}'
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
WHOLE = "whsec_" + b64encode(bytes(range(24))).decode()


def pem(key: Ed25519PrivateKey) -> str:
    """The public half, as Due tells it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def standard(key: bytes, body: bytes = BODY, sent_ms: int = NOW_MS, name: str = "msg_1") -> dict[str, str]:
    """The headers of Standard Webhooks."""
    sent = str(sent_ms // 1000)
    made = b64encode(new(key, f"{name}.{sent}.".encode() + body, sha256).digest()).decode()
    return {"webhook-id": name, "webhook-timestamp": sent, "webhook-signature": f"v1,{made}"}


def zerohash(key: bytes, body: bytes = BODY, sent_ms: int = NOW_MS) -> dict[str, str]:
    """The headers of Zero Hash."""
    made = new(key, body + str(sent_ms).encode(), sha256).hexdigest()
    return {"x-zh-hook-timestamp": str(sent_ms), "x-zh-hook-signature": made}


def due(key: Ed25519PrivateKey, body: bytes = BODY) -> dict[str, str]:
    """The header of Due."""
    return {"x-due-signature": b64encode(key.sign(body)).decode()}


SIGNED: Mapping[Kind, tuple[dict[str, str], str]] = {
    "http": (standard(b"secret"), "secret"),
    "zerohash": (zerohash(b"secret"), "secret"),
    "due": (due(KEY), pem(KEY)),
}
UNSIGNED = {"webhook-id", "webhook-timestamp", "x-zh-hook-timestamp"}
OTHERS: Mapping[Kind, str] = {"http": "other", "zerohash": "other", "due": pem(OTHER)}


@pytest.mark.parametrize("kind", SIGNED)
def test_one_of_several_secrets_is_enough(kind: Kind) -> None:
    """While a secret is changed the old and the new one hold, in any order; one that was taken out holds no more."""
    headers, secret = SIGNED[kind]
    for secrets in ([secret], [OTHERS[kind], secret], [secret, OTHERS[kind]]):
        assert verify(kind, headers, BODY, secrets, NOW_MS) is None
    for secrets in ([OTHERS[kind]], []):
        assert "forged" == verify(kind, headers, BODY, secrets, NOW_MS)


@pytest.mark.parametrize("kind", SIGNED)
@given(data=st.data())
def test_a_bit_changes_everything(kind: Kind, data: st.DataObject) -> None:
    """Whichever bit of the body or of a header is another, the webhook is forged."""
    headers, secret = SIGNED[kind]
    where = data.draw(st.sampled_from(["body", *headers]))
    raw = BODY if where == "body" else headers[where].encode("latin-1")
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    flipped = bytearray(raw)
    flipped[bit // 8] ^= 1 << bit % 8
    if where == "body":
        assert "forged" == verify(kind, headers, bytes(flipped), [secret], NOW_MS)
    else:
        assert "forged" == verify(kind, headers | {where: flipped.decode("latin-1")}, BODY, [secret], NOW_MS)


@pytest.mark.parametrize("kind", SIGNED)
def test_a_header_that_is_missing_is_none_that_fits(kind: Kind) -> None:
    """Without any one of its headers a webhook is forged."""
    headers, secret = SIGNED[kind]
    for name in headers:
        assert "forged" == verify(kind, {k: v for k, v in headers.items() if k != name}, BODY, [secret], NOW_MS)


@pytest.mark.parametrize(
    ("off_ms", "refusal"),
    [(0, None), (AGE_MAX_MS, None), (-AGE_MAX_MS, None), (AGE_MAX_MS + 1, "old"), (-AGE_MAX_MS - 1, "early")],
)
@pytest.mark.parametrize("kind", SIGNED)
def test_five_minutes_either_way(kind: Kind, off_ms: int, refusal: Refusal | None) -> None:
    """What was sent up to five minutes ago or ahead is of now, and a millisecond more is not."""
    headers, secret = SIGNED[kind]
    assert refusal == verify(kind, headers, BODY, [secret], NOW_MS + off_ms)


@pytest.mark.parametrize("off_ms", [10 * AGE_MAX_MS, -10 * AGE_MAX_MS])
@pytest.mark.parametrize("kind", SIGNED)
def test_a_forger_is_told_of_no_clock(kind: Kind, off_ms: int) -> None:
    """What is both forged and of another time is forged."""
    headers, _ = SIGNED[kind]
    assert "forged" == verify(kind, headers, BODY, [OTHERS[kind]], NOW_MS + off_ms)


def test_several_signatures() -> None:
    """A webhook that is signed by the old and the new secret is right by either of them alone."""
    old, fresh = standard(b"old"), standard(b"new")
    both = old | {"webhook-signature": f"v1a,abc {old['webhook-signature']} {fresh['webhook-signature']}"}
    assert [None, None, "forged"] == [verify("http", both, BODY, [one], NOW_MS) for one in ("old", "new", "other")]


def test_whole_secrets_are_base64() -> None:
    """A secret with the prefix of Standard Webhooks is the bytes behind it."""
    assert verify("http", standard(bytes(range(24))), BODY, [WHOLE], NOW_MS) is None
    assert [True, True, False, False] == [is_secret(one) for one in (WHOLE, "anything", "whsec_?", "")]


SIGN: Mapping[str, Callable[[], dict[str, str]]] = {
    "a point in the id": lambda: standard(b"secret", name="msg.1"),
    "no id": lambda: standard(b"secret", name=""),
    "a long id": lambda: standard(b"secret", name="x" * 65),
}


@pytest.mark.parametrize("case", SIGN)
def test_ids_have_one_reading(case: str) -> None:
    """An id that could be read in two ways, or is none, is not believed even when it is signed."""
    assert "forged" == verify("http", SIGN[case](), BODY, ["secret"], NOW_MS)


def test_a_body_lends_no_time() -> None:
    """A signature over an old webhook does not hold for one whose time was taken out of its body."""
    sent = str(NOW_MS // 1000)
    headers = standard(b"secret", f"{sent}.x".encode(), sent_ms=1_000, name="a")
    moved = headers | {"webhook-id": "a.1", "webhook-timestamp": sent}
    assert "forged" == verify("http", moved, b"x", ["secret"], NOW_MS)
