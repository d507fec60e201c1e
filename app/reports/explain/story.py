"""Telling a chain to a person: each thing once, under what it hangs together with, from what was asked for on.

An arrow says which way it went: ← leads to what came before, → to what came of it.
"""

import json
from collections.abc import Callable, Iterator

from app.reports.explain.graph import Explained, Facts, Key, Node
from app.reports.tables import unit_of
from app.reports.treasury.words import whole

BACK = {
    "led to": "was brought about by",
    "told of": "was told of by",
    "is one side of": "is made of",
    "is counted by": "counts",
    "is counted, by time, by": "counts, by time,",
    "asks for": "was asked for by",
    "orders": "was ordered by",
    "is asked of a provider as": "is an attempt at",
    "is booked as": "is booked of",
    "moves the position by": "moves the position after",
    "is booked after all by": "books after all",
    "pays for": "is paid out of",
    "is unlocked by": "unlocks what is left of",
    "is settled after all by": "settles after all",
    "is reversed by": "reverses",
    "is captured by": "captures",
    "is voided by": "voids",
    "expires by": "ends",
    "shares a leg with": "shares a leg with",
    "was read again as": "was read before as",
    "was used after all as": "was kept at first as",
    "is decided on after a hold by": "decides, after a hold, on",
}
"""How an edge is told from its end."""

Lines = Iterator[str]


def story(explained: Explained) -> str:
    """Return all of it as indented text; lines end without blanks."""
    telling = _Telling(explained)
    lines = [line for key in explained.asked if telling.is_new(key) for line in telling.all_of(key)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def headline(node: Node) -> str:
    """Return what a thing is, in a line."""
    return HEADLINES.get(node.kind, _request)(node.facts)


class _Telling:
    """What is still to be told: every thing in full once, under the first that it hangs together with, and every edge once."""

    def __init__(self, explained: Explained) -> None:
        self._nodes = {node.key: node for node in explained.nodes}
        self._edges = dict.fromkeys(explained.edges)
        self._told: set[Key] = set()

    def is_new(self, key: Key) -> bool:
        """Return whether a thing has not been told, and take it as told from now on."""
        is_new = key not in self._told
        self._told.add(key)
        return is_new

    def all_of(self, key: Key) -> Lines:
        """Tell a thing, then what led to it and what it led to; of what a decision counted no more than a line."""
        node = self._nodes[key]
        yield f"{node.kind} {node.id}: {headline(node)}"
        for line in DETAILS.get(node.kind, _request_details)(node.facts):
            yield f"  {line}"
        for how, lines in self._around(node):
            yield f"  {how} {next(lines)}"
            for line in lines:
                yield f"    {line}"

    def _around(self, node: Node) -> list[tuple[str, Lines]]:
        """Return what is told under a thing; all of it is taken as told before any is gone into."""
        around = []
        for edge in [edge for edge in self._edges if node.key in (edge.start, edge.end)]:
            del self._edges[edge]
            is_back = edge.end == node.key
            other = edge.start if is_back else edge.end
            how = f"← {BACK[edge.word]}" if is_back else f"→ {edge.word}"
            around.append((how, self._under(self._nodes[other], is_counted=is_back and node.kind == "decision")))
        return around

    def _under(self, other: Node, *, is_counted: bool) -> Lines:
        if is_counted:
            self._told.add(other.key)
            return iter([f"{other.kind} {other.id}: {headline(other)}"])
        return self.all_of(other.key) if self.is_new(other.key) else iter([f"{other.kind} {other.id}, told elsewhere here"])


# A line for each kind ---------------------------------------------------------------------------------------------------


def _message(facts: Facts) -> str:
    kept = facts.get("quarantined")
    if kept is not None:
        return f"in quarantine since {kept['recorded_at']}, {kept['reason']}"
    return "read and used" if facts["booked"] else "read"


def _leg(facts: Facts) -> str:
    if "amount" not in facts:
        return "refused"
    amount = f"{facts['amount']} {unit_of(facts['currency'])}"
    return f"{facts['direction']} {amount}, worth {facts['cents']} cents, {facts['status']}"


def _transaction(facts: Facts) -> str:
    taken_back = f", reversed by {facts['reversed_by']}" if facts["reversed_by"] else ""
    return f"{facts['template']}, effective {facts['effective_at']}, recorded {facts['recorded_at']}{taken_back}"


def _rejection(facts: Facts) -> str:
    return f"{facts['template']}, rejected by the ledger as {facts['reason']}"


def _refusal(facts: Facts) -> str:
    *_, last = facts["refusals"]
    number = f", {last['symbol']} {last['sequence']}" if last["sequence"] is not None else ""
    return f"the {last['kind']} was refused as {last['reason']}{number}"


def _job(facts: Facts) -> str:
    much = whole(facts["amount"], facts["source_currency"])
    how = facts["state"] + (f" by {facts['provider']}" if facts["provider"] else "")
    return f"{much} from {facts['source']} to {facts['destination']}, {how}, {facts['cause'].replace('_', ' ')}"


def _decision(facts: Facts) -> str:
    if "since" not in facts:
        return f"{facts['action']} by {facts['rule']}, {facts['venue']} ({facts['book']}) as of {facts['as_of']}"
    much = "" if facts["unit"] == "none" else f" {facts['amount']} {facts['unit']}"
    return f"{facts['action']}{much} by {facts['rule']}, {facts['kind']} of book {facts['book']} as of {facts['as_of']}"


def _request(facts: Facts) -> str:
    body = facts["body"]
    if "job_id" in body:
        return f"{_asked(facts['kind'], body)} at {facts['counterparty']}, {facts['state']}"
    what = body.get("action") or body.get("kind")
    much = f"{body['contracts']} contracts" if "contracts" in body else f"{body['amount_sats']} sats"
    return f"{what} {much} at {facts['counterparty']}, {facts['state']}"


def _asked(kind: str, body: Facts) -> str:
    if kind == "cancel":
        return f"let go of {body['client_conversion_id']}"
    return f"attempt {body['attempt']}: convert {whole(body['amount'], body['source_currency'])}"


HEADLINES: dict[str, Callable[[Facts], str]] = {
    "job": _job,
    "message": _message,
    "leg": _leg,
    "transaction": _transaction,
    "rejection": _rejection,
    "decision": _decision,
    "refusal": _refusal,
}

# All that is known of each kind -----------------------------------------------------------------------------------------


def _message_details(facts: Facts) -> Lines:
    kept = facts.get("quarantined")
    if kept is not None:
        yield kept["detail"]
        yield f"bytes: {json.dumps(kept['raw'])}"
        yield f"today it would be refused as {kept['today']}" if kept["today"] else "today it can be used"


def _leg_details(facts: Facts) -> Lines:
    for refusal in facts["refusals"]:
        yield f"refused as {refusal['reason']} at {refusal['as_of']}: {refusal['detail']}"


def _transaction_details(facts: Facts) -> Lines:
    if facts["meta"].get("reason"):
        yield f"because: {facts['meta']['reason']}"
    for entry in facts["entries"]:
        side = "credit" if entry["debit"] is None else "debit"
        moved = f"{entry[side]} {unit_of(entry['currency'])}"
        layer = "" if entry["layer"] == "settled" else f" {entry['layer']}"
        after = f"{entry['normal_balance_after']} after, version {entry['version']}"
        yield f"{side:<6} {entry['account']}{layer} {moved}, {after}"


def _rejection_details(facts: Facts) -> Lines:
    for entry in facts["entries"]:
        yield f"{entry['account']} {entry['amount']} {unit_of(entry['currency'])}"


def _refusal_details(facts: Facts) -> Lines:
    for one in facts["refusals"]:
        short = f", {one['shortfall']} smallest units too little" if one["shortfall"] is not None else ""
        yield f"{one['kind']} at {one['source']}/{one['source_offset']}, as of {one['as_of']}: {one['reason']}{short}"
        yield f"to do: {one['remedy']}"


def _job_details(facts: Facts) -> Lines:
    for step in facts["steps"]:
        tried = f", attempt {step['attempt']} at {step['provider']}" if step["provider"] else ""
        why = f": {step['reason'] or step['error']}" if step["reason"] or step["error"] else ""
        yield f"{step['as_of']} {step['state']}{tried}{why}"
    if facts["received"] is not None:
        currency = facts["destination_currency"]
        yield f"received {whole(facts['received'], currency)}, and {whole(facts['fee'], currency)} were kept as the fee"


def _buffer_details(facts: Facts) -> Lines:
    yield facts["reason"]
    yield f"policy {facts['policy']} {facts['policy_version']}"
    yield from facts["inputs"]
    yield from facts["arithmetic"]
    yield from (f"refused: {refused}" for refused in facts["refused"])
    yield from facts["nearest"]


def _decision_details(facts: Facts) -> Lines:
    if "since" not in facts:
        yield from _buffer_details(facts)
        return
    yield facts["reason"]
    repeated = f"; the decision before was repeated {_times(facts['repeats'])}" if facts["repeats"] else ""
    yield f"policy {facts['policy']} {facts['policy_version']}{repeated}"
    for one in facts["inputs"]:
        values = ", ".join(f"{name} {value}" for name, value in one.items() if name not in ("fact", "as_of", "age_ms"))
        yield f"{one['fact']}: {values}, {one['age_ms']} ms old"
    yield from facts["arithmetic"]
    yield from (f"refused: {refused}" for refused in facts["refused"])
    yield from _since_details(facts["since"])
    yield from _nearest_details(facts)


def _since_details(since: Facts) -> Lines:
    before = (
        f"decision {since['decision_before']}, the last that was not held," if since["decision_before"] else "the beginning"
    )
    more = since["changes"] - len(since["named"])
    named = f", of which {more} are not named here" if more else ""
    moved = f"{since['moved']} {unit_of(since['currency'])}"
    yield f"since {before} {since['account']} changed {_times(since['changes'])}, by {moved}{named}"


def _nearest_details(facts: Facts) -> Lines:
    if facts["undecidable"]:
        yield f"what would have changed it cannot be told from its inputs alone: {facts['undecidable']}"
    elif not facts["nearest"]:
        yield "no single input would have changed it"
    for number, shift in enumerate(facts["nearest"]):
        which = "nearest change, by bisection" if number == 0 else "or"
        share = "" if shift["percent"] is None else f" ({shift['percent']} %)"
        moved = f"{shift['input']} {shift['to']} in place of {shift['from']}{share}"
        yield f"{which}: {moved} gives {shift['action']} by {shift['rule']}"


def _request_details(facts: Facts) -> Lines:
    for change in facts["changes"]:
        filled = f", {change['filled']} done" if change["filled"] else ""
        why = f": {change['reason']}" if change["reason"] else ""
        yield f"{change['changed_at']} {change['state']}{filled}{why}"


DETAILS: dict[str, Callable[[Facts], Lines]] = {
    "job": _job_details,
    "message": _message_details,
    "leg": _leg_details,
    "transaction": _transaction_details,
    "rejection": _rejection_details,
    "decision": _decision_details,
    "refusal": _refusal_details,
}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
