"""Drawing a chain as a Mermaid flowchart, from left to right; what was asked for has a thick border."""

from collections.abc import Iterator

from app.reports.explain.graph import Explained
from app.reports.explain.story import headline

PLAIN = frozenset("-_./:,+=% ")
"""What stands in a label as it is, besides letters and digits; Mermaid reads something else into many others."""


def mermaid(explained: Explained) -> str:
    """Return the flowchart as text."""
    return "".join(f"{line}\n" for line in _lines(explained))


def _lines(explained: Explained) -> Iterator[str]:
    names = {node.key: f"n{number}" for number, node in enumerate(explained.nodes)}
    yield "flowchart LR"
    for node in explained.nodes:
        yield f'  {names[node.key]}["{escaped(f"{node.kind} {node.id}")}<br/>{escaped(headline(node))}"]'
    for edge in explained.edges:
        yield f'  {names[edge.start]} -->|"{escaped(edge.word)}"| {names[edge.end]}'
    yield "  classDef asked stroke-width:4px"
    yield f"  class {','.join(names[key] for key in explained.asked)} asked"


def escaped(text: str) -> str:
    """Return a text with everything that Mermaid could take for more than text as the number of its character."""
    return "".join(char if char in PLAIN or char.isalnum() else f"#{ord(char)};" for char in text)
