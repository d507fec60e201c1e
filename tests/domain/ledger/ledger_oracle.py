"""The rules of the ledger again, with no regard for speed: no rows, no copies; every question is a sum over all that was
posted. What is about shape alone (digits, names, JSON) is left to the tables of cases."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from domain.ledger.accounts import Account
from domain.ledger.journal import Entry, Layer, Outcome, Relation, Transaction

Amounts = Counter[tuple[str, str, int, int]]
"""By account, currency, layer and side."""


def totals(entries: Sequence[Entry]) -> Amounts:
    """What these entries come to."""
    sums: Amounts = Counter()
    for account, currency, layer, side, amount in entries:
        sums[account, currency, int(layer), side] += amount
    return sums


class Oracle:
    """Judges transactions one by one."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self.accounts = accounts
        self.answers: dict[str, tuple[Transaction, Outcome]] = {}
        self.posted: dict[str, tuple[Transaction, tuple[Entry, ...]]] = {}

    def post(self, transactions: Sequence[Transaction]) -> list[Outcome]:
        """The outcomes, in order."""
        outcomes: list[Outcome] = []
        for group, members in groupby(transactions, key=lambda one: one.group):
            run = list(members)
            outcomes += [self.one(t) for t in run] if group is None else self.together(run, group.size)
        return outcomes

    def together(self, members: list[Transaction], size: int) -> list[Outcome]:
        before = dict(self.answers), dict(self.posted)
        outcomes = [self.one(t) for t in members]
        if len(members) == size and not {Outcome.REJECTED, Outcome.CONFLICT} & set(outcomes):
            return outcomes
        self.answers, self.posted = before
        return [self.answered(t) or self.answer(t, Outcome.REJECTED) for t in members]

    def one(self, t: Transaction) -> Outcome:
        known = self.answered(t)
        if known:
            return known
        entries = (*t.entries, *self.rest(t))
        is_sound = (
            len(entries) > 1
            and not any("\x00" in str(value) for value in json.loads(t.meta).values())
            and self.sound(entries)
            and self.may(t)
        )
        if is_sound and self.within_limits(t, entries):
            self.posted[t.id] = t, entries
            return self.answer(t, Outcome.POSTED)
        return self.answer(t, Outcome.REJECTED)

    def answered(self, t: Transaction) -> Outcome | None:
        if t.id not in self.answers:
            return None
        before, outcome = self.answers[t.id]
        same = before == t._replace(source=before.source, source_offset=before.source_offset)
        return Outcome.CONFLICT if not same else Outcome.DUPLICATE if outcome is Outcome.POSTED else outcome

    def answer(self, t: Transaction, outcome: Outcome) -> Outcome:
        self.answers[t.id] = t, outcome
        return outcome

    def sound(self, entries: Sequence[Entry]) -> bool:
        parents = {account.parent for account in self.accounts.values()}
        for account, currency, _, _, amount in entries:
            known = self.accounts.get(account)
            if known is None or known.status != "open" or account in parents or not 0 < abs(amount) < 10**38:
                return False
            if known.currency not in (None, currency):
                return False
        net: Counter[tuple[str, int]] = Counter()
        for (_, currency, layer, side), amount in totals(entries).items():
            net[currency, layer] += side * amount
        return not any(net.values())

    def rest(self, t: Transaction) -> list[Entry]:
        if not t.cause or t.cause.relation is Relation.REVERSES or not t.cause.is_final:
            return []
        left = self.left(t.cause.transaction_id)
        left.update({key: amount for key, amount in totals(t.entries).items() if key[2] > 1})
        return [Entry(a, c, Layer(layer), s, -amount) for (a, c, layer, s), amount in left.items() if amount]

    def left(self, hold: str) -> Amounts:
        held: Amounts = Counter()
        for t, entries in self.posted.values():
            ends_it = t.cause and t.cause.transaction_id == hold and not t.reverses
            if ends_it or (t.id == hold and t.cause is None):
                held.update({key: amount for key, amount in totals(entries).items() if key[2] > 1})
        return Counter({key: amount for key, amount in held.items() if amount})

    def may(self, t: Transaction) -> bool:
        if t.expires_at_ms is not None and t.expires_at_ms <= t.effective_at_ms:
            return False
        releases = [entry for entry in t.entries if entry.layer > 1 and entry.amount < 0]
        if t.cause is None:
            return not releases
        origin, _ = self.posted.get(t.cause.transaction_id, (None, None))
        if origin is None or t.effective_at_ms < origin.effective_at_ms:
            return False
        return self.may_reverse(t, origin) if t.reverses else self.may_end(t, origin, t.cause.is_final, releases)

    def may_reverse(self, t: Transaction, origin: Transaction) -> bool:
        def settled(one: Transaction) -> Counter[tuple[str, str]]:
            net: Counter[tuple[str, str]] = Counter()
            for (account, currency, layer, side), amount in totals(one.entries).items():
                net[account, currency] += side * amount if layer == 1 else 0
            return Counter({key: amount for key, amount in net.items() if amount})

        back = Counter({key: -amount for key, amount in settled(t).items()})
        is_second = any(one.reverses == origin.id for one, _ in self.posted.values())
        return not is_second and bool(back) and back == settled(origin) and all(e.layer == 1 for e in t.entries)

    def may_end(self, t: Transaction, origin: Transaction, is_final: bool, releases: list[Entry]) -> bool:
        left = self.left(origin.id)
        expired = origin.expires_at_ms is not None and t.effective_at_ms >= origin.expires_at_ms
        captures = t.cause is not None and t.cause.relation is Relation.CAPTURES
        expires = t.cause is not None and t.cause.relation is Relation.EXPIRES
        released = {key: -amount for key, amount in totals(releases).items()}
        return (
            bool(left)
            and expired == expires
            and (captures or not t.entries)
            and all(e.layer == 1 or e.amount < 0 for e in t.entries)
            and (is_final or bool(releases))
            and all(left[key] >= amount for key, amount in released.items())
        )

    def available(self, account: Account, sums: Amounts, currency: str) -> tuple[int, int]:
        """What is available and what may be reached, by these totals."""
        normal = account.normal_side
        of: Callable[[int, int], int] = lambda layer, side: sums[account.code, currency, layer, side]  # noqa: E731
        settled = of(1, normal) - of(1, -normal)
        return settled - of(2, -normal) - of(3, -normal), settled + of(2, normal) + of(3, normal)

    def within_limits(self, t: Transaction, entries: Sequence[Entry]) -> bool:
        sums = totals([entry for _, posted in self.posted.values() for entry in posted])
        sums.update(totals(entries))
        for entry in entries:
            account = self.accounts[entry.account]
            available, reachable = self.available(account, sums, entry.currency)
            if account.min_available is not None and available < account.min_available:
                return False
            if account.max_balance is not None and reachable > account.max_balance:
                return False
        return all(self.slow_enough(t, entries, code) for code in {entry.account for entry in entries})

    def slow_enough(self, t: Transaction, entries: Sequence[Entry], code: str) -> bool:
        for currency, seconds, most in self.accounts[code].velocities:
            at, fall = self.fall(t, entries, code, currency)
            window = at // 1000 // seconds
            falls = [self.fall(one, posted, code, currency) for one, posted in self.posted.values()]
            if fall > 0 and fall + sum(f for a, f in falls if a // 1000 // seconds == window) > most:
                return False
        return True

    def fall(self, t: Transaction, entries: Sequence[Entry], code: str, currency: str) -> tuple[int, int]:
        fall = -self.available(self.accounts[code], totals(entries), currency)[0]
        if t.cause and not t.reverses:
            return self.posted[t.cause.transaction_id][0].effective_at_ms, fall
        return t.effective_at_ms, max(fall, 0)
