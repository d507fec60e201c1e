"""The legs paired anew, and what that comes to beside the trades that are live.

Two legs may be a trade if they share a second, a side, a method and a memo that names a journal, and are of the two
currencies; without such a memo their worths differ by a cent at most. As many pairs as can be, with the smallest sum of gaps, is
what the books have to come to (docs/pairing.md). Which of several matches that are as good is taken is not judged here.

Worths are places on a line, so of all best matches there is one in which no two pairs cross: the legs of either currency are
taken in order of worth, and each either waits or is paired with the next of the other (`best`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

from app.reports.audit.checks import ROWS_MAX, Check, Row, rows_of
from domain.messages.dealer import DealerTransaction
from sinks.archive.parquet import Duck

GAP_MAX_CENTS = 1
JOURNAL = "JournalId:"

_TOLD = """
SELECT said, at_ms >= (SELECT at_ms FROM passed) FROM told
WHERE topic = 'dealer.transactions' AND said IS NOT NULL AND (SELECT at_ms FROM passed) IS NOT NULL
ORDER BY at_ms, source, "offset"
"""
_LIVE = """
SELECT btc_id, usd_id FROM trade WHERE taken_back_by IS NULL OR is_taken_back_by_hand
UNION ALL
SELECT said ->> '$.meta.btc_leg.id', said ->> '$.meta.usd_leg.id' FROM refused
WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD')
    AND CAST(tx_id AS VARCHAR) NOT IN (
        SELECT meta ->> '$.rebooks' FROM tx WHERE source = 'console/rebookings' AND meta ->> '$.rebooks' IS NOT NULL
    )
"""


Group = tuple[str, ...]
"""What partners share: second, side, method, and the memo that names a journal, or nothing."""


class Told(NamedTuple):
    """A leg as the words on it come to; `group` is what partners share, and `is_new` says that the flows had not passed it."""

    id: str
    group: Group
    currency: str
    cents: int
    is_named: bool
    is_new: bool


class Match(NamedTuple):
    """How good a match is: pairs, and the sum of their gaps in cents."""

    pairs: int
    gaps_cents: int

    @property
    def rank(self) -> tuple[int, int]:
        """The better, the larger."""
        return self.pairs, -self.gaps_cents


def _ask(opened: Duck) -> tuple[int, int, Sequence[Row]]:
    legs = _legs(opened)
    groups: defaultdict[Group, list[Told]] = defaultdict(list)
    for leg in legs.values():
        groups[leg.group].append(leg)
    live, rows = _live(opened, legs)
    judged = {group: found for group, found in groups.items() if not any(leg.is_new for leg in found)}
    for group, found in sorted(judged.items()):
        rows += _compared(group, found, live[group])
    return sum(map(len, judged.values())), len(rows), rows[:ROWS_MAX]


def _live(opened: Duck, legs: Mapping[str, Told]) -> tuple[Mapping[Group, list[tuple[str, str]]], list[Row]]:
    """Return the trades that have a leg on a topic by its group, and a row for each that cannot be one."""
    live: defaultdict[Group, list[tuple[str, str]]] = defaultdict(list)
    rows: list[Row] = []
    for btc, usd in rows_of(opened, _LIVE):
        known = [legs[name] for name in (btc, usd) if name in legs]
        if len(known) == 2 and (known[0].group != known[1].group or known[0].currency == known[1].currency):
            rows.append({"btc_leg": btc, "usd_leg": usd, "wrong": "its legs cannot be partners"})
        elif known:
            live[known[0].group].append((btc, usd))
    return live, rows


def _compared(group: Group, legs: Sequence[Told], live: Sequence[tuple[str, str]]) -> list[Row]:
    by_id = {leg.id: leg for leg in legs}
    if any(name not in by_id for pair in live for name in pair):
        return [] if len(legs) == 1 else [_row(group, "a trade has a leg that no topic has", legs)]
    expected, gaps = best(legs), [abs(by_id[btc].cents - by_id[usd].cents) for btc, usd in live]
    found = Match(len(live), sum(gaps))
    if gaps and max(gaps) > GAP_MAX_CENTS and not legs[0].is_named:
        return [_row(group, "a trade has legs of different worth", legs)]
    if found != expected:
        can_be = f"where {expected.pairs} with {expected.gaps_cents} can be"
        said = f"{found.pairs} trades with gaps of {found.gaps_cents} cents, {can_be}"
        return [_row(group, said, legs)]
    return []


def _row(group: Group, wrong: str, legs: Sequence[Told]) -> Row:
    return {"group": "/".join(group), "wrong": wrong, "legs": ", ".join(sorted(leg.id for leg in legs)[:ROWS_MAX])}


def best(legs: Sequence[Told]) -> Match:
    """Return how good the best match of a group is."""
    btc = sorted(leg.cents for leg in legs if leg.currency == "BTC")
    usd = sorted(leg.cents for leg in legs if leg.currency == "USD")
    limit = None if legs[0].is_named else GAP_MAX_CENTS
    line = [Match(0, 0)] * (len(usd) + 1)
    for cents in btc:
        before, line = line, [Match(0, 0)]
        for place, other in enumerate(usd):
            gap = abs(cents - other)
            choices = [before[place + 1], line[place]]
            if limit is None or gap <= limit:
                choices.append(Match(before[place].pairs + 1, before[place].gaps_cents + gap))
            line.append(max(choices, key=lambda match: match.rank))
    return line[-1]


def _legs(opened: Duck) -> dict[str, Told]:
    """Return the legs that were told as a success and are worth something, each by the first such word."""
    legs: dict[str, Told] = {}
    for said, is_new in rows_of(opened, _TOLD):
        message = _read(said)
        if message is not None and message.status == "SUCCESS" and message.id not in legs:
            legs[message.id] = _told(message, is_new=is_new)
    return {name: leg for name, leg in legs.items() if leg.cents}


def _read(said: str) -> DealerTransaction | None:
    try:
        return DealerTransaction.model_validate_json(said)
    except ValueError:
        return None


def _told(message: DealerTransaction, *, is_new: bool) -> Told:
    amount = abs(message.settlement_amount)
    with localcontext(prec=28):
        worth = Decimal(amount) * message.cents_per_unit
    cents = amount if message.cents_per_unit == 1 else int(worth.to_integral_value(rounding=ROUND_HALF_EVEN))
    side = "buys" if (message.settlement_currency == "BTC") == (message.direction == "RECEIVE") else "sells"
    memo = message.memo if message.memo is not None and message.memo.startswith(JOURNAL) else ""
    group = (str(message.created_at // 1000), side, message.settlement_method, memo)
    return Told(message.id, group, message.settlement_currency, cents, bool(memo), is_new)


CHECK = Check(
    "I2_every_group_of_legs_is_paired_as_well_as_can_be",
    "the live trades are as many as the messages allow, with the smallest gaps, and no leg is paired with one that does not fit",
    "legs that could be paired",
    _ask,
)
