"""Publishing: messages as bytes, on the topic and under the key that they belong to."""

import json
from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from domain import topics
from domain.errors import Rejection
from domain.messages import Quarantined
from domain.streams import Outgoing, Progress
from operators.decode import parser
from operators.publish import RAW_BYTES_MAX, encode, publish, publish_rejections, quarantined
from tests.flows.streams import record, tick
from tests.operators.steps import run_step


def test_publish() -> None:
    """Each record is said under its key at its instant, or not at all."""
    progress = Progress("s", 9, [record(tick(), 5), record("other", 6), record(tick("1"), 7)])
    out = run_step(
        lambda up: publish("ticks", up, topics.MARKET_TICKS, lambda r: None if r.value == "other" else ("k", r.value)),
        [progress],
    )
    assert [Outgoing("market.ticks", 5, b"k", encode(tick())), Outgoing("market.ticks", 7, b"k", encode(tick("1")))] == out


def test_publish_rejections() -> None:
    """What could not be read goes to the quarantine of its topic under its own key; what could be read does not."""
    rejection = Rejection("not_json", "no", "market.ticks", 0, 3, b"k", b"\xff")
    progress = Progress("s", 9, [record(tick()), record(rejection, 6)])
    (out,) = run_step(lambda up: publish_rejections("bad", up, topics.MARKET_TICKS), [progress])
    assert ("quarantine.market.ticks", 6, b"k") == out[:3]
    assert {"reason": "not_json", "offset": 3, "as_of": 6, "raw_base64": "/w=="}.items() <= json.loads(out.value).items()


@given(st.binary(max_size=50), st.none() | st.binary(max_size=9), st.text(max_size=20))
def test_quarantined_bytes_can_be_sent_again(raw: bytes, key: bytes | None, detail: str) -> None:
    """A quarantined message can be read back, with every byte of what it quotes."""
    said = quarantined(record(Rejection("not_utf8", detail, "market.ticks", 0, 3, key, raw)))
    back = parser(Quarantined)(encode(said))
    assert raw == b64decode(back.raw_base64)
    assert key == (None if back.key_base64 is None else b64decode(back.key_base64))


def test_encoding_is_one_line_with_decimals_in_quotes() -> None:
    """A person can read a message, and no number in it loses digits."""
    fields = '"schema_version":1,"instrument":"BTC-USD-SWAP","price_usd":"40000.10","as_of":5'
    assert f"{{{fields}}}".encode() == encode(tick("40000.10", 5))


def test_what_no_broker_takes_is_left_to_the_database() -> None:
    """A huge message is quarantined without its bytes, and the message says where they are."""
    said = quarantined(record(Rejection("too_large", "many bytes", "market.ticks", 0, 3, None, b"x" * (RAW_BYTES_MAX + 1))))
    assert ("", "many bytes; its bytes are in the table treasury.quarantine") == (said.raw_base64, said.detail)
