"""Transactions for tests of ledgers: a small chart with limits, and random workloads with repeats and mistakes.

Everything is drawn from few values, so that ids are repeated, limits are met, and reversals find their originals.
"""

from hypothesis import strategies as st

from domain.ids import content_id, timed_id
from domain.ledger.accounts import Account, Velocity
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Cause, Entry, Group, Layer, Relation, Transaction, reversal_of

CASH, USER, LIMITED, CAPPED, FROZEN, BITCOIN = "CASH", "USER", "LIMITED", "CAPPED", "FROZEN", "BITCOIN"
FAST, ASSETS, VAULT = "FAST", "ASSETS", "VAULT"

ACCOUNTS = (
    Account(101, CASH, DEBIT, "Test"),
    Account(102, USER, CREDIT, "Test"),
    Account(103, LIMITED, CREDIT, "Test", min_available=0),
    Account(104, CAPPED, DEBIT, "Test", max_balance=50),
    Account(105, FROZEN, DEBIT, "Test", status="frozen"),
    Account(106, BITCOIN, DEBIT, "Test", currency="BTC"),
    Account(107, FAST, CREDIT, "Test", velocities=(Velocity("USD", 60, 40), Velocity("USD", 3600, 100))),
    Account(108, ASSETS, DEBIT, "Test"),
    Account(109, VAULT, DEBIT, "Test", parent=ASSETS),
)

START_MS = 1_700_000_000_000


def posting(
    number: int,
    *entries: Entry,
    at_ms: int = START_MS,
    meta: dict[str, object] | None = None,
    cause: Cause | None = None,
    expires_at_ms: int | None = None,
    group: Group | None = None,
) -> Transaction:
    """A transaction whose id comes from its number alone, so the same number with other entries is a conflict."""
    id_ = timed_id(START_MS, "TEST", str(number))
    correlation_id = content_id("test", str(number % 3))
    facts = (id_, "TEST", at_ms, entries, correlation_id, "test/0", number, meta_text(meta or {}))
    return Transaction(*facts, cause, expires_at_ms, group)


def debit(account: str, amount: int, currency: str = "USD", layer: Layer = Layer.SETTLED) -> Entry:
    """A debit entry."""
    return Entry(account, currency, layer, DEBIT, amount)


def credit(account: str, amount: int, currency: str = "USD", layer: Layer = Layer.SETTLED) -> Entry:
    """A credit entry."""
    return Entry(account, currency, layer, CREDIT, amount)


def moved(number: int, debited: str, credited: str, amount: int, layer: Layer = Layer.SETTLED) -> Transaction:
    """A transaction of two entries that balance."""
    return posting(number, debit(debited, amount, layer=layer), credit(credited, amount, layer=layer))


def reversal(number: int, original: Transaction) -> Transaction:
    """What takes the original back, at the same time, by negative entries as the reference system does."""
    entries = [entry._replace(amount=-entry.amount) for entry in original.entries]
    return posting(number, *entries, at_ms=original.effective_at_ms, cause=reversal_of(original.id))


def captured(number: int, hold: Transaction, amount: int, *, is_final: bool = True) -> Transaction:
    """A capture of this much of a hold between two accounts, at the same time."""
    released = [entry._replace(amount=-amount) for entry in hold.entries[:2]] if amount else []
    settled = [entry._replace(layer=Layer.SETTLED, amount=amount or 1) for entry in hold.entries[:2]]
    cause = Cause(Relation.CAPTURES, hold.id, is_final)
    return posting(number, *released, *settled, at_ms=hold.effective_at_ms, cause=cause)


def ended(number: int, hold: Transaction, relation: Relation, at_ms: int = START_MS) -> Transaction:
    """A void or an expiry, which carries no entries."""
    return posting(number, at_ms=at_ms, cause=Cause(relation, hold.id))


_account = st.sampled_from([CASH, USER, LIMITED, CAPPED, FAST, VAULT])
_amount = st.integers(-30, 60).filter(bool)
_at_ms = st.sampled_from([START_MS] * 4 + [START_MS + 1, START_MS + 61_000, START_MS + 86_400_000])


@st.composite
def _sound(draw: st.DrawFn, number: int) -> Transaction:
    amount = draw(_amount)
    entries = [debit(draw(_account), amount), credit(draw(_account), amount)]
    if draw(st.booleans()):
        other = draw(_amount)
        entries += [debit(BITCOIN, other, "BTC"), credit(USER, other, "BTC")]
    return posting(number, *entries, at_ms=draw(_at_ms))


@st.composite
def _hold(draw: st.DrawFn, number: int) -> Transaction:
    layer, amount = draw(st.sampled_from([Layer.PENDING, Layer.ENCUMBERED])), draw(st.integers(-3, 40).filter(bool))
    made = moved(number, draw(_account), draw(_account), amount, layer)
    return made._replace(expires_at_ms=draw(st.sampled_from([None, None, START_MS + 60_000, START_MS])))


@st.composite
def _about(draw: st.DrawFn, number: int, earlier: list[Transaction]) -> Transaction:
    original = draw(st.sampled_from(earlier))
    kind = draw(st.sampled_from(["reversal", "capture", "part", "void", "expiry"]))
    if kind == "reversal":
        made = reversal(number, original)
    elif kind in ("capture", "part"):
        made = captured(number, original, draw(st.integers(0, 25)), is_final=kind == "capture")
    else:
        made = ended(number, original, Relation.VOIDS if kind == "void" else Relation.EXPIRES)
    return made._replace(effective_at_ms=original.effective_at_ms + draw(st.sampled_from([0, 0, 0, -1, 60_000, 70_000])))


_MISTAKES = [
    posting(90, debit(CASH, 5), credit(USER, 4)),
    posting(91, debit(CASH, 5)),
    posting(92, debit("NOBODY", 5), credit(USER, 5)),
    posting(93, debit(FROZEN, 5), credit(USER, 5)),
    posting(94, debit(BITCOIN, 5), credit(USER, 5)),
    posting(95, debit(CASH, 5), credit(USER, 5), meta={"memo": "a\x00b\\u0000"}),
    posting(96, debit(CASH, 10**38), credit(USER, 10**38)),
    posting(97, debit(CASH, 5, layer=Layer.PENDING), credit(USER, 5)),
    posting(98, debit(ASSETS, 5), credit(USER, 5)),
    posting(99, debit(CASH, 5), credit(USER, 5), cause=reversal_of(timed_id(START_MS, "TEST", "never"))),
]


@st.composite
def _step(draw: st.DrawFn, number: int, earlier: list[Transaction]) -> Transaction:
    kind = draw(st.sampled_from(["sound", "sound", "hold", "about", "about", "mistake", "again", "altered"]))
    if kind == "mistake":
        return draw(st.sampled_from(_MISTAKES))
    if kind == "hold":
        return draw(_hold(number))
    if kind == "sound" or not earlier:
        return draw(_sound(number))
    if kind == "about":
        return draw(_about(number, earlier))
    again = draw(st.sampled_from(earlier))
    return again if kind == "again" else again._replace(meta=meta_text({"altered": draw(st.integers(0, 1))}))


@st.composite
def _workload(draw: st.DrawFn) -> list[Transaction]:
    made: list[Transaction] = []
    for number in range(draw(st.integers(0, 30))):
        made.append(draw(_step(number, made)))
    for number in range(draw(st.integers(0, 3))):
        start, size = draw(st.integers(0, len(made))), draw(st.integers(1, 4))
        group = Group(f"group-{number}", draw(st.sampled_from([size, size, size, size + 1])))
        made[start : start + size] = [one._replace(group=group) for one in made[start : start + size]]
    return made


WORKLOADS = _workload()
"""Transactions in order, some in groups; some repeat an id, with the same body or another; some are about others."""
