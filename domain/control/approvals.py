"""Approvals: what one person asks for, others have to agree to.

The vote of who asked does not count, nor that of anybody who may not vote, nor a second one of the same person, except
that whoever agreed may still deny. One denial ends it. What comes after an end changes nothing. Source: `settled` 28, and
the rule of lana-bank.
"""

from collections.abc import Iterable, Set
from typing import Literal, NamedTuple

Vote = Literal["approve", "deny"]
Verdict = Literal["pending", "approved", "denied"]


class Ballot(NamedTuple):
    """Who asked, who may vote, how many have to agree, and who did so far."""

    requester: str
    eligible: frozenset[str]
    required: int
    agreed: frozenset[str] = frozenset()
    is_denied: bool = False

    @property
    def verdict(self) -> Verdict:
        """What became of the request."""
        if self.is_denied:
            return "denied"
        return "approved" if len(self.agreed) >= self.required else "pending"


def vote(ballot: Ballot, voter: str, said: Vote) -> Ballot:
    """Return the ballot after a vote, the same if it does not count."""
    if ballot.verdict != "pending" or voter not in ballot.eligible - {ballot.requester}:
        return ballot
    if said == "deny":
        return ballot._replace(agreed=ballot.agreed - {voter}, is_denied=True)
    return ballot._replace(agreed=ballot.agreed | {voter})


def count(requester: str, eligible: Set[str], required: int, votes: Iterable[tuple[str, Vote]]) -> Ballot:
    """Return the ballot after all votes, in their order."""
    ballot = Ballot(requester, frozenset(eligible), required)
    for voter, said in votes:
        ballot = vote(ballot, voter, said)
    return ballot
