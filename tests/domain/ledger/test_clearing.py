"""Parts of transactions that cross shards: each balances, together they are the whole, and pairs of clearing accounts tie."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.accounts import Account
from domain.ledger.clearing import (
    CLEARING,
    arriving,
    clearing_accounts,
    clearing_code,
    crossings_of,
    home_part,
    part_id,
    split,
)
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction, reversal_of
from domain.ledger.memory import MemoryLedger
from domain.messages.ledger import Crossing
from tests.domain.ledger.ledger_workloads import credit, debit, posting

SHARDS = 3
USERS = [Account(1000 + n, f"U{n}", CREDIT, "Test", shard=n % SHARDS, min_available=0 if n == 4 else None) for n in range(9)]
SHARD_OF = {account.code: account.shard for account in USERS}
ALL = [*USERS, *clearing_accounts(range(SHARDS))]

_code = st.sampled_from([account.code for account in USERS])
_entry_pairs = st.tuples(
    _code, _code, st.integers(1, 99), st.sampled_from(["USD", "BTC"]), st.sampled_from([Layer.SETTLED, Layer.PENDING])
)
_pairs = st.lists(_entry_pairs, min_size=1, max_size=6)


def crossing(pairs: list[tuple[str, str, int, str, Layer]]) -> Transaction:
    """A balanced transaction of these pairs: debited, credited, amount, currency, layer."""
    legs = [
        leg
        for a, b, amount, currency, layer in pairs
        for leg in (debit(a, amount, currency, layer), credit(b, amount, currency, layer))
    ]
    return posting(1, *legs)


def sums(entries: list[Entry]) -> Counter[tuple[str, str, int]]:
    """What each account has moved, by currency and layer, without zeros."""
    net: Counter[tuple[str, str, int]] = Counter()
    for account, currency, layer, side, amount in entries:
        net[account, currency, layer] += side * amount
    return Counter({key: amount for key, amount in net.items() if amount})


@given(_pairs, st.integers(0, SHARDS - 1))
def test_each_part_balances_and_stays_in_its_shard(pairs: list[tuple[str, str, int, str, Layer]], home: int) -> None:
    """Every part is a transaction that its shard's ledger takes, over accounts of that shard alone."""
    shards = {account.code: account.shard for account in ALL}
    for shard, part in split(crossing(pairs), SHARD_OF.__getitem__, home).items():
        assert {shard} == {shards[entry.account] for entry in part.entries}
        ledger = MemoryLedger([account._replace(min_available=None) for account in ALL if account.shard == shard])
        assert ["posted"] == [verdict.outcome for verdict in ledger.post([part]).verdicts]


@given(_pairs, st.integers(0, SHARDS - 1))
def test_the_parts_are_the_whole_and_clearing_ties(pairs: list[tuple[str, str, int, str, Layer]], home: int) -> None:
    """Without clearing accounts the parts move what the transaction moves; each pair of clearing accounts comes to zero."""
    whole = crossing(pairs)
    parts = split(whole, SHARD_OF.__getitem__, home)
    moved = sums([entry for part in parts.values() for entry in part.entries])
    assert sums(list(whole.entries)) == Counter({key: n for key, n in moved.items() if not key[0].startswith("CLEARING")})
    for (code, currency, layer), amount in moved.items():
        if code.startswith("CLEARING"):
            _, shard, other = code.split("/")
            assert -amount == moved[clearing_code(int(other), int(shard)), currency, layer]


def test_a_transaction_within_a_shard_stays_as_it_is() -> None:
    """One shard, one part, the same id."""
    whole = crossing([("U0", "U3", 5, "USD", Layer.SETTLED)])
    assert {0: whole} == split(whole, SHARD_OF.__getitem__, 2)


def post_everywhere(ledgers: dict[int, MemoryLedger], whole: Transaction, home: int) -> dict[int, str]:
    """What becomes of a transaction: its home part first, and what crosses when that is posted, over the wire."""
    first = home_part(whole, SHARD_OF.__getitem__, home)
    outcomes = {home: str(ledgers[home].post([first]).verdicts[0].outcome)}
    if outcomes[home] in ("posted", "duplicate"):
        for crossing_ in crossings_of(ledgers[home].transactions()[-1]):
            read = Crossing.model_validate_json(crossing_.model_dump_json())
            for shard, ledger in ledgers.items():
                part = arriving(read, shard)
                if part is not None:
                    outcomes[shard] = str(ledger.post([part]).verdicts[0].outcome)
    return outcomes


@given(_pairs, st.integers(0, SHARDS - 1))
def test_what_crosses_is_what_was_split(pairs: list[tuple[str, str, int, str, Layer]], home: int) -> None:
    """Through metadata and message every other part arrives as it was split; what is held is never split."""
    whole = crossing(pairs)
    parts = split(whole, SHARD_OF.__getitem__, home)
    own = home_part(whole, SHARD_OF.__getitem__, home)
    if any(entry.layer is Layer.PENDING for entry in whole.entries) or home not in parts or len(parts) == 1:
        assert whole == own
        return
    assert parts[home].entries == own.entries
    for one in crossings_of(own):
        arrived = arriving(Crossing.model_validate_json(one.model_dump_json()), one.shard)
        assert parts[one.shard] == arrived
        assert None is arriving(one, one.shard + 1)


def test_a_refused_first_part_asks_nobody_else_and_a_reversal_names_the_parts() -> None:
    """The home shard decides; a reversal of the whole takes back each part by its own id."""
    ledgers = {n: MemoryLedger([account for account in ALL if account.shard == n]) for n in range(SHARDS)}
    assert {1: "rejected"} == post_everywhere(ledgers, crossing([("U4", "U0", 5, "USD", Layer.SETTLED)]), 1)
    pay = crossing([("U0", "U1", 5, "USD", Layer.SETTLED)])._replace(id=posting(2).id)
    back = pay._replace(
        id=posting(3).id,
        entries=tuple(entry._replace(side=-entry.side) for entry in pay.entries),
        cause=reversal_of(pay.id),
    )
    for whole in (pay, back, back):
        assert {0, 1} == post_everywhere(ledgers, whole, 0).keys()
    assert {0} == {balance.settled for ledger in ledgers.values() for balance in ledger.balances()}
    assert part_id(pay.id, 1) == next(t.reverses for t in ledgers[1].transactions() if t.cause)


def test_clearing_accounts_have_ids_and_codes_of_their_own() -> None:
    """Two accounts per pair of shards, each in its shard."""
    accounts = clearing_accounts(range(10))
    assert 90 == len({account.id for account in accounts}) == len({account.code for account in accounts})
    assert all(account.journal == CLEARING and account.normal_side == DEBIT for account in accounts)
    assert all(account.code.split("/")[1] == str(account.shard) for account in accounts)
