"""Our words as beancount can read them: accounts, currencies, amounts and texts, each in one way and never two in the same.

An account is called by its root, its code and the layer: `Assets:POSITION:0simulated:Settled`. The root follows the normal side,
Assets or Liabilities, but for what hedging and the chain earn and cost, which is Income and Expenses. What is held in another
layer is other money, on an account beside it; the layer comes last, because what beancount asserts of an account has what is
below that account in it.

Amounts have the decimals of their currency where those are known, and are minor units else. No digit is lost.
"""

import re

from domain.ledger.journal import DEBIT, Layer
from domain.money import DECIMALS

_ROOTS = {
    "TRADING_PNL": "Income",
    "FUNDING_RATE_PAYMENTS": "Income",
    "TRADING_FEES": "Expenses",
    "NETWORK_FEES": "Expenses",
}
"""The root of these, and of what is below them, whatever their side."""

_LEAVES = {int(layer): layer.name.capitalize() for layer in Layer}
_ODD = re.compile("[^A-Za-pr-z0-9_]")
_BEGINS = re.compile("[A-Z1-9]")
_COMMODITY = re.compile("(?!(?:TRUE|FALSE|NULL)$)[A-Z][A-Z0-9]*")


def account_text(code: str, normal_side: int) -> str:
    """Return the name of an account without its layer: a component for each part of its code between slashes."""
    parts = code.split("/")
    root = _ROOTS.get(parts[0]) or ("Assets" if normal_side == DEBIT else "Liabilities")
    return ":".join([root, *map(_component, parts)])


def layer_text(account: str, layer: int) -> str:
    """Return the name of what an account, by its own name, has in a layer."""
    return f"{account}:{_LEAVES[layer]}"


def _component(part: str) -> str:
    """Return a part of a code with `_` as `-`, and whatever else cannot stand as its number in hex between two q; q is odd too.

    A 0 stands before one that would not begin with a capital or a digit, begins with 0, or is called as a layer is: who takes
    that away again and reads the rest from the left has the part.
    """
    spelled = _ODD.sub(_escaped, part).replace("_", "-")
    return spelled if _BEGINS.match(spelled) and spelled not in _LEAVES.values() else f"0{spelled}"


def _escaped(odd: re.Match[str]) -> str:
    return f"q{ord(odd[0]):X}q"


def commodity_text(currency: str) -> str:
    """Return a currency as it is, or its bytes in hex behind `X-0` where that is no commodity, or a word of another meaning."""
    return currency if _COMMODITY.fullmatch(currency) else f"X-0{currency.encode(errors='surrogatepass').hex().upper()}"


def number_text(minor: int, currency: str) -> str:
    """Return an amount in minor units with as many decimals as its currency has."""
    decimals = DECIMALS.get(currency, 0)
    if not decimals:
        return str(minor)
    digits = f"{abs(minor):0{decimals + 1}}"
    return f"{'-' if minor < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def quoted(text: str) -> str:
    """Return a text as a string on one line."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", r"\r")
    return f'"{escaped}"'
