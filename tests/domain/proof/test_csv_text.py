"""CSV by lines: what was written comes back, and a damaged line damages no other."""

import csv
import re
from io import StringIO

from hypothesis import given
from hypothesis import strategies as st

from domain.proof.csv_text import cells_of

_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)


@given(st.lists(st.lists(_CELLS, min_size=3, max_size=3), max_size=6))
def test_csv_comes_back_as_it_was(rows: list[list[str]]) -> None:
    """Cells with commas, quotation marks and line breaks are read as they were written."""
    out = StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    assert rows == list(cells_of(re.findall(r"[^\n]*\n", out.getvalue()), 3))


def test_a_damaged_line_damages_no_other() -> None:
    """A quotation mark that is lost or new does not swallow the lines after it."""
    lines = ['1,"a",x\n', '2,"b,x\n', '3,"c",x\n', "4,d\n", '5,"e""",x\n']
    assert [["1", "a", "x"], ["2", '"b', "x"], ["3", "c", "x"], ["4", "d"], ["5", 'e"', "x"]] == list(cells_of(lines, 3))
