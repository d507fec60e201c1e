"""docs/promises.md names tests that are there."""

import re

import pytest

from tests.app.surroundings import ROOT

NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", (ROOT / "docs" / "promises.md").read_text())


def test_there_are_promises() -> None:
    """And each line of their tables names a test."""
    lines = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]
    promises = [line for line in lines if not line.startswith("| promise")]
    assert len(promises) > 10
    assert [] == [line for line in promises if "`tests/" not in line]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    """A test that was renamed or dropped is missed here."""
    assert f"def {name or 'test_'}" in (ROOT / path).read_text()
