"""Where the acceptance cases come from: `pytest tests/conformance --cases DIR`, or else the project's own."""

from pathlib import Path

import pytest

OWN_CASES = Path(__file__).parent.parent / "cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let any folder of case files be run."""
    parser.addoption("--cases", default=str(OWN_CASES), help="folder with case files (*.json); default: tests/cases")
