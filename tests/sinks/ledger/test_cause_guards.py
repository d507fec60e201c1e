"""The guards on holds, reversals, velocity limits and the hierarchy, each tried by somebody who writes SQL.

They are tried in the role of the writer, whom nothing but these guards stops.
"""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from tests.sinks.ledger.intruder import (
    BITCOIN,
    CASH,
    LEAF,
    LIMITED,
    NEW,
    OTHER_SHARD,
    POSTED,
    REJECTED,
    SUMMARY,
    USER,
    Intruder,
    Leg,
    moved,
    refused,
    seed,
)

pytestmark = pytest.mark.postgres

PENDING, ENCUMBERED = 2, 3
HOLD, NEXT, AFTER, *MORE = NEW
HELD = moved(CASH, USER, 10, PENDING)
NOON, LATER = "2023-11-14 12:00+00", "2023-11-14 13:00+00"


def released(amount: int, layer: int = PENDING) -> list[Leg]:
    """What takes back part of what HELD holds."""
    return moved(CASH, USER, -amount, layer)


def captured(amount: int) -> list[Leg]:
    """What a capture of HELD books: the release, and the same settled."""
    return released(amount) + moved(CASH, USER, amount)


def about(relation: str, cause: str = HOLD, *, is_final: bool = True, at: str = LATER, n_added: int = 0) -> dict[str, Any]:
    """The columns of a header that say what it is about."""
    cause_columns = {"relation": relation, "cause_tx_id": cause, "is_final": is_final}
    return cause_columns | {"effective_at": at, "n_added": n_added}


@pytest.fixture
def chief(dsn: str) -> Iterator[Intruder]:
    """A superuser, who has posted one transaction over 5, rejected one, and holds 10 until one hour after noon."""
    with psycopg.connect(dsn) as connection:
        chief = Intruder(connection)
        seed(chief)
        chief.book(HOLD, HELD, effective_at=NOON, expires_at=LATER)
        connection.commit()
        yield chief
        connection.rollback()


@pytest.fixture
def intruder(chief: Intruder, dsn: str) -> Iterator[Intruder]:
    """Somebody else who is connected to the same database, in the role of the writer."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SET ROLE ballast_writer")
        connection.commit()
        yield Intruder(connection)
        connection.rollback()


def in_between(relation: str, **changed: Any) -> dict[str, Any]:
    """About the hold, at a moment at which it has not expired."""
    return about(relation, at="2023-11-14 12:30+00", **changed)


RIGHT = [
    [(captured(10), in_between("captures", is_final=False))],
    [(captured(10), in_between("captures"))],
    [(captured(4), in_between("captures", is_final=False)), (captured(6), in_between("captures"))],
    [(captured(4) + released(6), in_between("captures", n_added=2))],
    [(captured(4), in_between("captures", is_final=False)), (released(6), in_between("voids", n_added=2))],
    [(released(10), in_between("voids", n_added=2))],
    [(released(10), about("expires", n_added=2))],
]


@pytest.mark.parametrize("steps", RIGHT)
def test_a_hold_ends_in_each_of_its_ways(intruder: Intruder, steps: list[tuple[list[Leg], dict[str, Any]]]) -> None:
    """Captures in parts or whole, a void and an expiry that add up are accepted: others fail for the reason they name."""
    for id_, (legs, header) in zip((NEXT, AFTER), steps, strict=False):
        intruder.book(id_, legs, **header)
        intruder.connection.commit()
    assert intruder.one("SELECT count(*) FROM ledger.resolution WHERE cause_tx_id = %s", HOLD) == len(steps)
    assert intruder.one("SELECT sum(abs(pending_debit) + abs(pending_credit)) FROM ledger.balance") == 0


WRONG_TIMES = [
    ("LG010", captured(10), about("captures", NEW[8])),
    ("LG010", captured(10), about("captures", REJECTED)),
    ("LG010", released(10), about("voids", NEW[8])),
    ("LG010", moved(USER, CASH, 5), about("reverses", NEW[8])),
    ("LG010", moved(USER, CASH, 5), about("reverses", REJECTED)),
    ("LG010", moved(USER, CASH, 5), about("reverses", POSTED, at="2023-11-13 23:59:59.999+00")),
    ("LG010", captured(10), about("captures", at="2023-11-14 11:59:59.999+00")),
    ("LG010", captured(10), about("captures", at=LATER)),
    ("LG010", released(10), about("voids", at=LATER)),
    ("LG010", released(10), about("expires", at="2023-11-14 12:59:59.999+00")),
    ("LG010", moved(CASH, USER, -5), about("expires", POSTED)),
]


@pytest.mark.parametrize(("code", "legs", "header"), WRONG_TIMES)
def test_a_cause_that_is_not_there_or_not_then_is_refused(
    intruder: Intruder, code: str, legs: list[Leg], header: dict[str, Any]
) -> None:
    """A cause was posted, is not younger, and a hold is captured or voided before it expires, and expires after that."""
    refused(intruder, code, lambda: intruder.book(NEXT, legs, **header))


WRONG_SUMS = [
    ("LG011", captured(11), in_between("captures")),
    ("LG011", captured(4), in_between("captures")),
    ("LG011", released(9), in_between("voids")),
    ("LG011", released(9), about("expires")),
    ("LG011", released(10, ENCUMBERED), in_between("voids")),
    ("LG011", moved(CASH, LIMITED, -10, PENDING), in_between("voids")),
    ("LG011", moved(CASH, USER, 10), in_between("captures")),
    ("LG011", captured(10) + moved(CASH, USER, 1, PENDING), in_between("captures")),
    ("LG011", moved(CASH, USER, 5), in_between("captures", cause=POSTED)),
    ("LG011", released(10), {}),
    ("LG011", moved(CASH, USER, 1) + released(1), {}),
    ("LG011", released(10), in_between("reverses")),
    ("LG012", moved(CASH, USER, -4), in_between("reverses", cause=POSTED)),
    ("LG012", moved(USER, CASH, 6), in_between("reverses", cause=POSTED)),
    ("LG012", moved(LEAF, CASH, 5), in_between("reverses", cause=POSTED)),
    ("LG012", moved(USER, CASH, 5) + moved(USER, LIMITED, 1), in_between("reverses", cause=POSTED)),
]


@pytest.mark.parametrize(("code", "legs", "header"), WRONG_SUMS)
def test_what_does_not_add_up_is_refused(intruder: Intruder, code: str, legs: list[Leg], header: dict[str, Any]) -> None:
    """Only what was held is released, by whoever names the hold, to the last unit at its end; a reversal is a mirror."""
    # Somebody else's hold, so that the totals of the accounts alone would allow all this.
    for id_, held in ((MORE[0], HELD), (MORE[1], moved(CASH, LIMITED, 20, PENDING)), (MORE[2], moved(CASH, USER, 20, 3))):
        intruder.book(id_, held, effective_at=NOON)
    intruder.connection.commit()
    refused(intruder, code, lambda: intruder.book(NEXT, legs, **header))


ENDS = [(captured(10), in_between("captures")), (released(10), in_between("voids")), (released(10), about("expires"))]


@pytest.mark.parametrize(("legs", "header"), ENDS)
@pytest.mark.parametrize(("again", "second"), ENDS)
def test_a_hold_does_not_end_twice(
    intruder: Intruder, legs: list[Leg], header: dict[str, Any], again: list[Leg], second: dict[str, Any]
) -> None:
    """After its end there is no other, of the same kind or of another, though somebody else's hold would cover it."""
    intruder.book(MORE[0], HELD, effective_at=NOON)
    intruder.book(NEXT, legs, **header)
    intruder.connection.commit()
    with pytest.raises(psycopg.Error) as caught:
        intruder.book(AFTER, again, **second)
    assert caught.value.sqlstate in {"23505", "LG011"}


def test_a_captured_part_is_not_captured_again(intruder: Intruder) -> None:
    """What is left of a hold is less by each part."""
    intruder.book(MORE[0], HELD, effective_at=NOON)
    intruder.book(NEXT, captured(4), **in_between("captures", is_final=False))
    intruder.connection.commit()
    refused(intruder, "LG011", lambda: intruder.book(AFTER, captured(7), **in_between("captures")))
    refused(intruder, "LG011", lambda: intruder.book(AFTER, released(10), **in_between("voids")))


def test_a_second_reversal_is_refused(intruder: Intruder) -> None:
    """Nothing is reversed twice; a reversal may be reversed."""
    intruder.book(NEXT, moved(USER, CASH, 5), **about("reverses", POSTED))
    intruder.book(AFTER, moved(CASH, USER, 5), **about("reverses", NEXT))
    intruder.connection.commit()
    refused(intruder, "23505", lambda: intruder.book(MORE[0], moved(USER, CASH, 5), **about("reverses", POSTED)))


WRONG_HEADERS = [
    {"relation": "reverses"},
    {"cause_tx_id": POSTED},
    {"relation": "reverses", "cause_tx_id": POSTED},
    {"relation": "undoes", "cause_tx_id": POSTED, "is_final": True},
    {"relation": "voids", "cause_tx_id": HOLD, "is_final": False},
    {"relation": "reverses", "cause_tx_id": NEXT, "is_final": True},
    {"relation": "reverses", "cause_tx_id": POSTED, "is_final": True, "n_added": 1},
    {"n_added": 1},
    {"n_added": -1},
    {"relation": "voids", "cause_tx_id": HOLD, "is_final": True, "n_added": 3},
    {"group_id": "g"},
    {"group_size": 2},
]


@pytest.mark.parametrize("header", WRONG_HEADERS)
def test_a_header_that_contradicts_itself_is_refused(intruder: Intruder, header: dict[str, Any]) -> None:
    """Relation, cause and finality come together, and only the end of a hold has entries of the ledger's own."""
    refused(intruder, "23514", lambda: intruder.header(intruder.batch(1, 2), NEXT, **header))


@pytest.mark.parametrize("account_id", [OTHER_SHARD, SUMMARY])
def test_only_leaves_of_the_shard_take_entries(intruder: Intruder, account_id: int) -> None:
    """An account of another shard has another writer, and one with accounts below it is only their sum."""
    refused(intruder, "LG014", lambda: intruder.book(NEXT, moved(CASH, account_id, 1)))


def test_another_shard_has_its_own_accounts_and_chain(chief: Intruder, dsn: str) -> None:
    """A writer of another shard books on its accounts, and on no other."""
    with psycopg.connect(dsn) as connection:
        chief.run(
            "INSERT INTO ledger.account (account_id, code, journal, normal_side, shard) VALUES (108, 'B', 'Test', 1, 1)"
        )
        chief.connection.commit()
        other = Intruder(connection, shard=1)
        other.book(NEXT, moved(108, OTHER_SHARD, 1))
        connection.commit()
        refused(other, "LG014", lambda: other.book(AFTER, moved(108, USER, 1)))


WRONG_PARENTS: list[LiteralString] = [
    "INSERT INTO ledger.account (code, journal, normal_side, parent_id) VALUES ('BELOW', 'Test', -1, 102)",
    "UPDATE ledger.account SET parent_id = 102 WHERE account_id = 106",
    "UPDATE ledger.account SET parent_id = 106 WHERE account_id = 105",
    "UPDATE ledger.account SET parent_id = 106 WHERE account_id = 106",
]


@pytest.mark.parametrize("change", WRONG_PARENTS)
def test_a_parent_that_cannot_be_one_is_refused(chief: Intruder, change: LiteralString) -> None:
    """What has entries becomes no parent, and nothing is above itself."""
    refused(chief, "LG014", lambda: chief.run(change))


def test_a_parent_takes_no_entries_from_its_first_child_on(chief: Intruder, intruder: Intruder) -> None:
    """The leaf is booked on until it is one no more."""
    chief.run("INSERT INTO ledger.account (code, journal, normal_side, parent_id) VALUES ('BELOW', 'Test', -1, %s)", LEAF)
    chief.connection.commit()
    refused(intruder, "LG014", lambda: intruder.book(NEXT, moved(CASH, LEAF, 1)))


@pytest.fixture
def limited(chief: Intruder) -> None:
    """What is available of USER may fall by 10 an hour; the hold on it came before the limit."""
    chief.run("INSERT INTO ledger.velocity_limit VALUES (%s, 'USD', 3600, 10)", USER)
    chief.connection.commit()


@pytest.mark.usefixtures("limited")
def test_a_velocity_limit_holds_within_a_window(intruder: Intruder) -> None:
    """Spent up to the limit and no further, whatever comes in meanwhile; the next window starts anew."""
    intruder.book(NEXT, moved(USER, CASH, 10), effective_at=NOON)
    intruder.book(AFTER, moved(CASH, USER, 50), effective_at=NOON)
    intruder.connection.commit()
    last, next_hour = "2023-11-14 12:59:59.999+00", "2023-11-14 13:00+00"
    refused(intruder, "LG013", lambda: intruder.book(MORE[0], moved(USER, CASH, 1), effective_at=last))
    refused(intruder, "LG013", lambda: intruder.book(MORE[0], moved(USER, CASH, 1, PENDING), effective_at=last))
    refused(intruder, "LG013", lambda: intruder.book(MORE[0], moved(USER, CASH, 11), effective_at=next_hour))
    intruder.book(MORE[0], moved(USER, CASH, 10), effective_at=next_hour)


@pytest.mark.usefixtures("limited")
def test_a_void_gives_back_what_a_hold_used(intruder: Intruder) -> None:
    """A hold counts when it is taken; a void gives it back to that window, a capture takes no more."""
    intruder.book(NEXT, moved(USER, CASH, 8, PENDING), effective_at=NOON)
    intruder.connection.commit()
    refused(intruder, "LG013", lambda: intruder.book(AFTER, moved(USER, CASH, 3), effective_at=NOON))
    intruder.book(AFTER, moved(USER, CASH, -8, PENDING), **about("voids", NEXT))
    intruder.book(MORE[0], moved(USER, CASH, 10), effective_at=NOON)


@pytest.mark.usefixtures("limited")
def test_a_window_is_used_by_what_leaves(intruder: Intruder, chief: Intruder) -> None:
    """What comes in uses none, and what gives back is welcome also in a window that is over a limit that was lowered."""
    intruder.book(NEXT, moved(CASH, USER, 50), effective_at=NOON)
    assert intruder.one("SELECT count(*) FROM ledger.velocity_use") == 0
    intruder.book(AFTER, moved(USER, CASH, 2, PENDING), effective_at=NOON)
    intruder.book(MORE[0], moved(USER, CASH, 8), effective_at=NOON)
    intruder.connection.commit()
    chief.run("UPDATE ledger.velocity_limit SET amount_max = 3")
    chief.connection.commit()
    intruder.book(MORE[1], moved(USER, CASH, -2, PENDING), **about("voids", AFTER))
    assert intruder.one("SELECT used FROM ledger.velocity_use") == 8


WRONG_LIMITS = [(USER, "USD", 0, 1), (USER, "USD", -1, 1), (USER, "USD", 1, -1)]


@pytest.mark.parametrize("limit", WRONG_LIMITS)
def test_a_velocity_limit_has_a_window_and_an_amount(intruder: Intruder, limit: tuple[object, ...]) -> None:
    """No window is empty, and no limit below nothing."""
    refused(intruder, "23514", lambda: intruder.run("INSERT INTO ledger.velocity_limit VALUES (%s, %s, %s, %s)", *limit))


def test_an_account_with_a_currency_takes_no_other(intruder: Intruder) -> None:
    """The balance cannot even be opened."""
    refused(intruder, "LG003", lambda: intruder.book(NEXT, moved(BITCOIN, USER, 1)))


def test_what_is_held_is_not_available(intruder: Intruder) -> None:
    """A limit is judged on what is left when all holds are captured; a hold that would break it is refused."""
    intruder.book(NEXT, moved(CASH, LIMITED, 10))
    intruder.book(AFTER, moved(LIMITED, CASH, 6, PENDING))
    intruder.connection.commit()
    refused(intruder, "23514", lambda: intruder.book(MORE[0], moved(LIMITED, CASH, 5)))
    refused(intruder, "23514", lambda: intruder.book(MORE[0], moved(LIMITED, CASH, 5, ENCUMBERED)))
