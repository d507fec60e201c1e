"""How a decision about a buffer came about, in numbers: the buffers, the position, what is missing, who gives, what was nearest.

The numbers come from the functions that decided; here they are only put side by side.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

from pydantic import ValidationError

from app.reports.explain.graph import Facts
from domain.messages.decisions import Decision
from domain.messages.treasury import BufferName
from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.nearest import nearest_change
from domain.treasury.policy import Rules
from domain.treasury.worth import CURRENCY_OF, SOURCES_OF, dollars

BUFFER = "buffer"
"""The kind of decisions that are about buffers."""


def buffer_reasons(decision: Decision, policy_body: Any) -> Facts:
    """Return what a decision about a buffer was taken on, how it follows, and what would have changed it, in sentences."""
    group = {name: _buffer(name, found) for name, found in decision.inputs.items() if name in CURRENCY_OF}
    buffer = group[decision.venue]
    return {
        "inputs": [_standing(one) for one in group.values()],
        "arithmetic": list(_arithmetic(decision, buffer)),
        "nearest": list(_nearest(buffer, group, policy_body)),
    }


def _buffer(name: str, numbers: list[int]) -> Buffer:
    posted, in_flight, reserved, *limits = numbers
    return Buffer(name, CURRENCY_OF[cast("BufferName", name)], posted, in_flight, reserved, Thresholds(*limits))


def _standing(one: Buffer) -> str:
    limits = one.thresholds
    kept = f"between {dollars(limits.min)} and {dollars(limits.max)}, target {dollars(limits.target)}"
    moves = f"{dollars(one.in_flight)} on its way, {dollars(one.reserved)} promised"
    return f"{one.name}: {dollars(one.posted)} posted, {moves}; {kept}"


def _arithmetic(decision: Decision, buffer: Buffer) -> Iterator[str]:
    parts = f"{dollars(buffer.posted)} + {dollars(buffer.in_flight)} − {dollars(buffer.reserved)}"
    yield f"position = posted + on its way − promised = {parts} = {dollars(buffer.position)}"
    need = decision.inputs["need"]
    if need:
        yield f"need = {dollars(need)}, to the target of {dollars(buffer.thresholds.target)}"
    for source, how, amount in decision.inputs["legs"]:
        yield f"{source} gives {dollars(amount)} as a {how}"
    if decision.amount:
        yield f"ordered = {dollars(decision.amount)}, fees and whole cents included"


def _nearest(buffer: Buffer, group: dict[str, Buffer], policy_body: Any) -> Iterator[str]:
    try:
        rules = Rules.model_validate_json(json.dumps(policy_body))
    except ValidationError:
        yield "what would have changed it cannot be told: its policy is of another version of the program"
        return
    sources = [group[name] for name in SOURCES_OF[cast("BufferName", buffer.name)] if name in group]
    shift = nearest_change(buffer, sources, rules.buffer_policy)
    if shift is None:
        yield "no other amount in the buffer would have changed it"
    else:
        more = "more" if shift.by > 0 else "less"
        haste = ", as an emergency" if shift.is_emergency else ""
        yield f"nearest change: {dollars(abs(shift.by))} {more} in it gives {shift.action.lower()} by {shift.rule}{haste}"
