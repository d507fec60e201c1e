"""A chain as a Mermaid flowchart: whatever ids and texts are made of, it stays one."""

import re

from hypothesis import given
from hypothesis import strategies as st

from app.reports.explain.graph import Edge, Explained, Node
from app.reports.explain.mermaid import escaped, mermaid

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20) | st.sampled_from(
    ['"]; n0 --> n1', "end", "#quot;", "`**`", "a\nb", "%% comment", "<script>", "n0", "style n0 fill:#f00", "\\", "|", ""]
)
LEGS = st.builds(lambda name: Node("leg", name, {"refusals": [], "trades": []}), TEXTS)
GRAPHS = st.lists(LEGS, min_size=1, max_size=5, unique_by=lambda node: node.key).flatmap(
    lambda nodes: st.builds(
        Explained,
        st.just([nodes[0].key]),
        st.just(nodes),
        st.lists(st.builds(Edge, *[st.sampled_from([node.key for node in nodes])] * 2, TEXTS), max_size=5),
    )
)
LABEL = r'"(?:[^\W_]|[-_./:,+=% ]|#[0-9]+;|<br/>)*"'
LINES = {
    "node": re.compile(rf"  n[0-9]+\[{LABEL}\]"),
    "edge": re.compile(rf"  n[0-9]+ -->\|{LABEL}\| n[0-9]+"),
    "style": re.compile(r"  classDef asked stroke-width:4px|  class n[0-9]+(?:,n[0-9]+)* asked"),
}


def unescaped(label: str) -> str:
    """The text of a label, as Mermaid reads it."""
    return re.sub("#([0-9]+);", lambda found: chr(int(found[1])), label)


@given(TEXTS)
def test_a_label_reads_as_its_text(text: str) -> None:
    """Nothing is lost, and nothing is left that Mermaid could take for more than text."""
    assert text == unescaped(escaped(text))
    assert re.fullmatch(LABEL, f'"{escaped(text)}"')


@given(GRAPHS)
def test_a_chain_is_a_flowchart(explained: Explained) -> None:
    """A line for each node and each edge, every end of an edge is a node, and what was asked for is marked."""
    first, *lines = mermaid(explained).split("\n")[:-1]
    assert "flowchart LR" == first
    kinds = [[kind for kind, form in LINES.items() if form.fullmatch(line)] for line in lines]
    expected = ["node"] * len(explained.nodes) + ["edge"] * len(explained.edges) + ["style", "style"]
    assert [[kind] for kind in expected] == kinds
    nodes = [line.split("[")[0].strip() for line in lines[: len(explained.nodes)]]
    assert len(set(nodes)) == len(nodes)
    for line, edge in zip(lines[len(nodes) :], explained.edges, strict=False):
        start, end = line.split()[0], line.split()[-1]
        keys = [node.key for node in explained.nodes]
        assert (keys.index(edge.start), keys.index(edge.end)) == (nodes.index(start), nodes.index(end))
    assert "  class n0 asked" == lines[-1]
