"""Transactions for tests of ledgers: a small chart with limits, and random workloads with repeats and mistakes.

Everything is drawn from few values, so that ids are repeated, limits are met, and reversals find their originals.
"""

from hypothesis import strategies as st

from domain.accounts import Account
from domain.ids import content_id, timed_id
from domain.journal import CREDIT, DEBIT, Entry, Layer, Transaction

CASH, USER, LIMITED, CAPPED, FROZEN, BITCOIN = "CASH", "USER", "LIMITED", "CAPPED", "FROZEN", "BITCOIN"

ACCOUNTS = (
    Account(101, CASH, DEBIT, "Test"),
    Account(102, USER, CREDIT, "Test"),
    Account(103, LIMITED, CREDIT, "Test", min_available=0),
    Account(104, CAPPED, DEBIT, "Test", max_balance=50),
    Account(105, FROZEN, DEBIT, "Test", status="frozen"),
    Account(106, BITCOIN, DEBIT, "Test", currency="BTC"),
)


def posting(
    number: int,
    *entries: Entry,
    at_ms: int = 1_700_000_000_000,
    reverses: str | None = None,
    meta: dict[str, object] | None = None,
) -> Transaction:
    """A transaction whose id comes from its number alone, so the same number with other entries is a conflict."""
    id_ = timed_id(at_ms, "TEST", str(number))
    return Transaction(id_, "TEST", at_ms, entries, content_id("test"), "test/0", number, meta or {}, reverses)


def debit(account: str, amount: int, currency: str = "USD", layer: Layer = Layer.SETTLED) -> Entry:
    """A debit entry."""
    return Entry(account, currency, layer, DEBIT, amount)


def credit(account: str, amount: int, currency: str = "USD", layer: Layer = Layer.SETTLED) -> Entry:
    """A credit entry."""
    return Entry(account, currency, layer, CREDIT, amount)


def moved(number: int, debited: str, credited: str, amount: int, layer: Layer = Layer.SETTLED) -> Transaction:
    """A transaction of two entries that balance."""
    return posting(number, debit(debited, amount, layer=layer), credit(credited, amount, layer=layer))


_account = st.sampled_from([CASH, USER, LIMITED, CAPPED])
_amount = st.integers(-30, 60).filter(bool)
_layer = st.sampled_from([Layer.SETTLED, Layer.SETTLED, Layer.SETTLED, Layer.PENDING])


@st.composite
def _transaction(draw: st.DrawFn) -> Transaction:
    number = draw(st.integers(0, 25))
    at_ms = 1_700_000_000_000 + draw(st.sampled_from([0, 1, 86_400_000])) if number % 5 == 0 else 1_700_000_000_000
    layer, amount = draw(_layer), draw(_amount)
    entries = [debit(draw(_account), amount, layer=layer), credit(draw(_account), amount, layer=layer)]
    if draw(st.booleans()):
        other = draw(_amount)
        entries += [debit(BITCOIN, other, "BTC"), credit(USER, other, "BTC")]
    original = draw(st.none() | st.none() | st.integers(0, 25))
    reverses = None if original is None else timed_id(1_700_000_000_000, "TEST", str(original))
    return posting(number, *entries, at_ms=at_ms, reverses=reverses)


_mistake = st.sampled_from(
    [
        posting(90, debit(CASH, 5), credit(USER, 4)),
        posting(91, debit(CASH, 5)),
        posting(92, debit("NOBODY", 5), credit(USER, 5)),
        posting(93, debit(FROZEN, 5), credit(USER, 5)),
        posting(94, debit(BITCOIN, 5), credit(USER, 5)),
        posting(95, debit(CASH, 5), credit(USER, 5), meta={"memo": "a\x00b\\u0000"}),
        posting(96, debit(CASH, 10**38), credit(USER, 10**38)),
        posting(97, debit(CASH, 5, layer=Layer.PENDING), credit(USER, 5)),
    ]
)
_sound = _transaction()

WORKLOADS = st.lists(_sound | _sound | _sound | _mistake, max_size=40)
"""Transactions in order; some repeat an id, with the same body or another."""
