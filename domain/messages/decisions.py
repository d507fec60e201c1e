"""Decisions, of every kind, as they were taken."""

from typing import Annotated, Any

from pydantic import Field

from domain.messages.fields import Amount, Message, Ms, Name


class Decision(Message):
    """A decision as it was taken: the inputs, the policy, the rule that fired, and what it asks for. Never recomputed.

    `policy_version` is a digest of the policy that was in force; the table treasury.policy has it in full.
    """

    id: Name
    kind: Name
    book: Name = "main"
    venue: Name
    policy: Name
    policy_version: Name
    action: Name
    rule: Name
    reason: str
    amount: Amount
    unit: Name
    inputs: dict[str, Any]
    refused: list[str]
    repeats: Annotated[int, Field(ge=0)] = 0
    as_of: Ms
