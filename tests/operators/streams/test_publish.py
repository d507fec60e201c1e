"""Publishing: messages as bytes, on the topic and under the key that they belong to."""

import json
from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Rejection
from domain.messages.ops import Quarantined
from domain.streams.gauges import Gauge
from domain.streams.records import Outgoing, Progress
from operators.streams.decode import parser
from operators.streams.publish import RAW_BYTES_MAX, encode, measured, publish, refused
from tests.operators.steps import run_step
from tests.words import record, tick


def test_publish() -> None:
    """A message says itself on its own topic at its instant, other values what is made of them, and the rest nothing."""
    progress = Progress("s", 9, [record(tick(), 5), record("other", 6), record(7, 7)])
    out = run_step(lambda up: publish("tell", up, {int: lambda r: [tick(str(r.value))] * 2}), [progress])
    first, second = (
        Outgoing("market.ticks", ms, b"BTC-USD-SWAP", encode(tick(price))) for ms, price in ((5, "40000"), (7, "7"))
    )
    assert [first, second, second] == out


def test_what_is_made_ready_leaves_as_it_is() -> None:
    """A maker may write the bytes itself."""
    ready = Outgoing("user.trades", 3, b"k", b"{}")
    assert [ready] == run_step(lambda up: publish("tell", up, {str: lambda _: [ready]}), [Progress("s", 9, [record("x")])])


def test_what_could_not_be_read_is_quarantined() -> None:
    """It goes to the quarantine of its topic under its own key."""
    out = refused(record(Rejection("not_json", "no", "market.ticks", 0, 3, b"k", b"\xff"), 6))
    assert ("quarantine.market.ticks", 6, b"k") == out[:3]
    assert {"reason": "not_json", "offset": 3, "as_of": 6, "raw_base64": "/w=="}.items() <= json.loads(out.value).items()


def test_measured() -> None:
    """Gauges come by themselves, whether or not there are records beside them."""
    gauges = [Gauge("pair", "pair-00", "late", 1), Gauge("pair", "pair-00", "held", 2)]
    assert gauges == run_step(lambda up: measured("gauges", up), [Progress("s", 9, [], gauges), Progress("s", 10, [])])


@given(st.binary(max_size=50), st.none() | st.binary(max_size=9), st.text(max_size=20))
def test_quarantined_bytes_can_be_sent_again(raw: bytes, key: bytes | None, detail: str) -> None:
    """A quarantined message can be read back, with every byte of what it quotes."""
    back = parser(Quarantined)(refused(record(Rejection("not_utf8", detail, "market.ticks", 0, 3, key, raw))).value)
    assert raw == b64decode(back.raw_base64)
    assert key == (None if back.key_base64 is None else b64decode(back.key_base64))


def test_encoding_is_one_line_with_decimals_in_quotes() -> None:
    """A person can read a message, and no number in it loses digits."""
    fields = '"schema_version":1,"instrument":"BTC-USD-SWAP","price_usd":"40000.10","as_of":5'
    assert f"{{{fields}}}".encode() == encode(tick("40000.10", 5))


def test_what_no_broker_takes_is_left_to_the_database() -> None:
    """A huge message is quarantined without its bytes, and the message says where they are."""
    huge = Rejection("too_large", "many bytes", "market.ticks", 0, 3, None, b"x" * (RAW_BYTES_MAX + 1))
    said = parser(Quarantined)(refused(record(huge)).value)
    assert ("", "many bytes; its bytes are in the table treasury.quarantine") == (said.raw_base64, said.detail)
