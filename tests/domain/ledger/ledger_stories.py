"""A workload whose verdicts follow from its seed: every story is made of a number, and says itself what each step must get.

A story has accounts of its own wherever limits matter, and shares the others with all stories; so what its steps get does
not depend on what happens between them, and any step can be posted again at any time and must get the same answer. The
method is that of TigerBeetle's workload and auditor: derive the plan of each id from the seed, and no model is needed.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from domain.ids import content_id, timed_id
from domain.ledger.accounts import Account, Velocity
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Cause, Entry, Group, Layer, Relation, Transaction, reversal_of

START_MS, DAY_MS = 1_700_000_000_000, 86_400_000
CLOSED_UNTIL_MS = START_MS - DAY_MS
SLOTS, HOT = 400, 8
CURRENCIES = ("USD", "BTC", "EUR")

ACCOUNTS = (
    *[Account(1000 + n, f"HOT{n}", DEBIT if n % 2 else CREDIT, "Stories") for n in range(HOT)],
    *[Account(2000 + n, f"SLOT{n}", CREDIT, "Stories", min_available=0) for n in range(SLOTS)],
    *[Account(3000 + n, f"FAST{n}", CREDIT, "Stories", velocities=(Velocity("USD", 60, 100),)) for n in range(SLOTS)],
    Account(4000, "FROZEN", DEBIT, "Stories", status="frozen"),
    Account(4001, "BITCOIN", DEBIT, "Stories", currency="BTC"),
    Account(4002, "SUM", DEBIT, "Stories"),
    Account(4003, "PART", DEBIT, "Stories", parent="SUM"),
)


class Expected(NamedTuple):
    """What a transaction gets the first time, and for ever if it is refused."""

    outcome: str
    reason: str | None = None
    shortfall: int | None = None


Step = list[tuple[Transaction, Expected]]
"""Transactions that are posted next to each other: one, or a group."""

POSTED, CONFLICT = Expected("posted"), Expected("conflict", "other_body")
DUPLICATE = Expected("duplicate")


def refused(reason: str, shortfall: int | None = None) -> Expected:
    """A rejection."""
    return Expected("rejected", reason, shortfall)


class Dice:
    """Numbers that follow from a seed and from nothing else."""

    def __init__(self, *seed: object) -> None:
        self._seed = repr(seed).encode()
        self._thrown = 0

    def below(self, most: int) -> int:
        """0 to `most` - 1."""
        self._thrown += 1
        return int.from_bytes(blake2b(self._seed + self._thrown.to_bytes(8, "big"), digest_size=8).digest(), "big") % most

    def amount(self, most: int = 1000) -> int:
        """1 to `most`."""
        return 1 + self.below(most)

    def shuffled(self, items: Sequence[Relation]) -> list[Relation]:
        """The same items in some order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in items]


class Story:
    """One story: `number` gives it ids, accounts and amounts."""

    def __init__(self, seed: int, number: int) -> None:
        self.dice = Dice(seed, number)
        self.number = number
        self.at_ms = START_MS + number // 20 + DAY_MS * (self.dice.below(20) == 0)
        self.slot, self.fast = f"SLOT{number % SLOTS}", f"FAST{number % SLOTS}"
        # A slot is used again after SLOTS stories: by then in another currency, so its balances are new.
        self.currency = f"C{number // SLOTS}"
        self.hot, self.other = f"HOT{self.dice.below(HOT // 2)}", f"HOT{HOT // 2 + self.dice.below(HOT // 2)}"
        self._made = 0

    def make(self, *entries: Entry, cause: Cause | None = None, after_ms: int = 0) -> Transaction:
        """The next transaction of this story."""
        self._made += 1
        at_ms = self.at_ms + after_ms
        id_ = timed_id(self.at_ms, "STORY", str(self.number), str(self._made))
        correlation_id = content_id("story", str(self.number))
        return Transaction(
            id_, "STORY", at_ms, entries, correlation_id, "stories/0", self.number, meta_text({"step": self._made}), cause
        )

    def pay(self, debited: str, credited: str, amount: int, layer: Layer = Layer.SETTLED, currency: str = "") -> Transaction:
        """A transaction of two entries."""
        kind = (currency or self.currency, layer)
        return self.make(Entry(debited, *kind, DEBIT, amount), Entry(credited, *kind, CREDIT, amount))

    def steps(self) -> Iterator[Step]:
        """All that happens, in order."""
        yield from (self.plain, self.limit, self.race, self.reversal, self.group, self.mistakes, self.velocity)[
            self.dice.below(7)
        ]()

    def plain(self) -> Iterator[Step]:
        """Two currencies in one transaction, posted again, and again with something else in it."""
        x, y = self.dice.amount(), self.dice.amount(10**30)
        first = self.make(
            *self.pay(self.hot, self.other, x, currency="USD").entries,
            *self.pay(self.other, self.hot, y, currency="BTC").entries,
        )
        yield [(first, POSTED)]
        yield [(first._replace(source="elsewhere/1", source_offset=7), DUPLICATE)]
        yield [(first._replace(meta='{"altered":true}'), CONFLICT)]

    def limit(self) -> Iterator[Step]:
        """Money comes in and is spent to the unit; one unit more is refused, and stays refused when there is more."""
        amount, spare = self.dice.amount(), self.dice.amount(50)
        yield [(self.pay(self.hot, self.slot, amount + spare), POSTED)]
        yield [(self.pay(self.slot, self.hot, amount), POSTED)]
        over = self.pay(self.slot, self.hot, spare + 1)
        yield [(over, refused("over_limit", 1))]
        yield [(self.pay(self.slot, self.hot, spare), POSTED)]
        yield [(self.pay(self.hot, self.slot, 10), POSTED)]
        yield [(over, refused("over_limit", 1))]

    def race(self) -> Iterator[Step]:
        """A hold, then two captures, a void and an expiry in some order: the first that ends it wins."""
        left = self.dice.amount() + 2
        yield [(self.pay(self.hot, self.slot, left), POSTED)]
        hold = self.pay(self.slot, self.hot, left, Layer.PENDING)._replace(expires_at_ms=self.at_ms + 1000)
        yield [(hold, POSTED)]
        yield [(self.pay(self.slot, self.hot, 3), refused("over_limit", 3))]
        part, over = self.dice.amount(left - 1), self.dice.amount(9)
        ended: str | None = None
        for relation in self.dice.shuffled([Relation.CAPTURES, Relation.CAPTURES, Relation.VOIDS, Relation.EXPIRES]):
            is_final = self.dice.below(2) == 0
            made = self.ending(hold, relation, part, is_final=is_final)
            if ended is not None:
                expected = refused(f"already_{ended}")
            elif relation is Relation.CAPTURES and part > left:
                expected = refused("over_capture", part - left)
            elif relation is Relation.CAPTURES:
                left -= part
                ended, expected = ("captured" if is_final or not left else None), POSTED
            else:
                ended, expected = {Relation.VOIDS: "voided", Relation.EXPIRES: "expired"}[relation], POSTED
            yield [(made, expected)]
        too_much = self.ending(hold, Relation.CAPTURES, left + over, is_final=True)
        yield [(too_much, refused(f"already_{ended}") if ended else refused("over_capture", over))]

    def ending(self, hold: Transaction, relation: Relation, amount: int, *, is_final: bool) -> Transaction:
        """A capture, a void or an expiry of the hold, each at a time at which it may come."""
        if relation is not Relation.CAPTURES:
            return self.make(cause=Cause(relation, hold.id), after_ms=1000 if relation is Relation.EXPIRES else 999)
        released = [entry._replace(amount=-amount) for entry in hold.entries]
        settled = [entry._replace(layer=Layer.SETTLED, amount=amount) for entry in hold.entries]
        return self.make(*released, *settled, cause=Cause(relation, hold.id, is_final))

    def reversal(self) -> Iterator[Step]:
        """Taken back too early, in part, then right, then once more; and the reversal is taken back in turn."""
        amount = self.dice.amount() + 1
        first = self.pay(self.hot, self.other, amount, currency="USD")
        yield [(first, POSTED)]
        yield [(self.back(first, after_ms=-1), refused("before_cause"))]
        partly = tuple(entry._replace(amount=amount - 1) for entry in self.back(first).entries)
        yield [(self.back(first)._replace(entries=partly), refused("not_a_mirror"))]
        back = self.back(first, after_ms=5)
        yield [(back, POSTED)]
        yield [(self.back(first, after_ms=6), refused("already_reversed"))]
        yield [(self.back(back, after_ms=7), POSTED)]
        yield [(back, DUPLICATE)]

    def back(self, original: Transaction, after_ms: int = 0) -> Transaction:
        """The reversal of a transaction."""
        mirrored = [entry._replace(side=-entry.side) for entry in original.entries]
        return self.make(*mirrored, cause=reversal_of(original.id), after_ms=after_ms)

    def group(self) -> Iterator[Step]:
        """A group that is good, one with a member that is not, one that is not whole."""
        for kind in ("good", "bad", "short"):
            members = [self.pay(self.hot, self.other, self.dice.amount(), currency="USD") for _ in range(3)]
            if kind == "bad":
                members[1] = self.pay(self.slot, self.hot, 5, currency="POOR")
            group = Group(f"story-{self.number}-{kind}", 4 if kind == "short" else 3)
            expected = {
                "good": [POSTED] * 3,
                "bad": [refused("group_refused"), refused("over_limit", 5), refused("group_refused")],
                "short": [refused("group_incomplete")] * 3,
            }[kind]
            yield [(one._replace(group=group), said) for one, said in zip(members, expected, strict=True)]

    def mistakes(self) -> Iterator[Step]:
        """Every bad input by its name."""
        good = self.pay(self.hot, self.other, 5, currency="USD")
        debit, credit = good.entries
        huge = 10**38
        table: list[tuple[str, tuple[Entry, ...]]] = [
            ("unbalanced", (debit, credit._replace(amount=4))),
            ("one_legged", (debit,)),
            ("wrong_currency", (debit._replace(account="BITCOIN"), credit)),
            ("unknown_account", (debit._replace(account="NOBODY"), credit)),
            ("account_frozen", (debit._replace(account="FROZEN"), credit)),
            ("not_a_leaf", (debit._replace(account="SUM"), credit)),
            ("zero_amount", (debit._replace(amount=0), credit._replace(amount=0))),
            ("too_large", (debit._replace(amount=huge), credit._replace(amount=huge))),
            (
                "unnamed_release",
                (debit._replace(layer=Layer.PENDING, amount=-5), credit._replace(layer=Layer.PENDING, amount=-5)),
            ),
        ]
        for reason, entries in table:
            yield [(self.make(*entries), refused(reason))]
        yield [(self.make(debit, credit)._replace(effective_at_ms=CLOSED_UNTIL_MS - 1), refused("closed_period"))]
        yield [(self.make(debit, credit, cause=reversal_of(content_id("nobody"))), refused("unknown_cause"))]
        yield [(self.pay("PART", self.hot, 5, currency="USD"), POSTED)]

    def velocity(self) -> Iterator[Step]:
        """A window of a minute is used to the unit, and not beyond; its limit is in dollars alone."""
        if self.number >= SLOTS:
            yield [(self.pay(self.fast, self.hot, 1000), POSTED)]
            return
        part = self.dice.amount(99)
        yield [(self.pay(self.fast, self.hot, part, currency="USD"), POSTED)]
        yield [(self.pay(self.fast, self.hot, 100 - part + 7, currency="USD"), refused("over_velocity", 7))]
        yield [(self.pay(self.fast, self.hot, 100 - part, Layer.ENCUMBERED, "USD"), POSTED)]
        later = self.pay(self.fast, self.hot, 100, currency="USD")
        yield [(later._replace(effective_at_ms=later.effective_at_ms + 60_000), POSTED)]


def workload(seed: int, stories: int, at_once: int = 40) -> Iterator[Step]:
    """The steps of so many stories, `at_once` of them told at the same time, in an order that follows from the seed."""
    dice = Dice("order", seed)
    waiting = (Story(seed, number).steps() for number in range(stories))
    told = list(islice(waiting, at_once))
    while told:
        turn = dice.below(len(told))
        step = next(told[turn], None)
        if step is not None:
            yield step
        else:
            told[turn : turn + 1] = islice(waiting, 1)


def runs(seed: int, stories: int, size_max: int) -> Iterator[Step]:
    """The same steps in runs of 1 to about `size_max` transactions, each to be posted in one call."""
    dice, run = Dice("runs", seed), Step()
    size = dice.amount(size_max)
    for step in workload(seed, stories):
        run += step
        if len(run) >= size:
            yield run
            run, size = [], dice.amount(size_max)
    if run:
        yield run
