"""Runs acceptance cases: one test per case, whatever files they come in.

A case file is a list of cases, or an object with a list under `cases`. A case is `{"id", "kind", "given", "then"}`;
its kind says which runner takes what is given, and then it must answer what is expected, or fail with the error named.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.money import decimal_from_text
from tests.conformance.runners import RUNNERS, Failure

OWN_CASES = Path(__file__).parent.parent / "cases"

Case = dict[str, Any]


def _cases_in(path: Path) -> list[Case]:
    """The cases of a file; one that holds none is a case that fails, so that it is not passed over."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except ValueError as error:
        return [{"id": path.name, "unreadable": f"{path} is not JSON: {error}"}]
    cases = content.get("cases") if isinstance(content, dict) else content
    if not isinstance(cases, list):
        return [{"id": path.name, "unreadable": f"{path} has neither a list of cases nor one under 'cases'"}]
    return cases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of every case in the folder, with the id of the case."""
    folder = Path(metafunc.config.getoption("--cases", default=str(OWN_CASES)))
    if not folder.is_dir():
        msg = f"--cases {folder} is not a folder"
        raise pytest.UsageError(msg)
    paths = sorted(folder.glob("*.json"))
    if not paths:
        msg = f"--cases {folder} has no case files (*.json)"
        raise pytest.UsageError(msg)
    cases = [case for path in paths for case in _cases_in(path)]
    metafunc.parametrize("case", cases, ids=[case["id"] for case in cases])


def read(answer: Any) -> Any:
    """An answer whose numbers are numbers: how many zeros one ends with is nobody's business."""
    match answer:
        case dict():
            return {name: read(value) for name, value in answer.items()}
        case list():
            return [read(value) for value in answer]
        case str():
            number = decimal_from_text(answer)
            return answer if number is None else number
        case _:
            return answer


def test_case(case: Case) -> None:
    """What is given leads to what the case states; a fact that it does not state is free."""
    if "unreadable" in case:
        pytest.fail(case["unreadable"])
    if case["kind"] not in RUNNERS:
        pytest.fail(f"no runner for cases of kind {case['kind']!r}; there are: {', '.join(sorted(RUNNERS))}")
    actual = RUNNERS[case["kind"]](case["given"])
    then = case["then"]
    if "error" in then:
        assert Failure(then["error"]) == actual
    elif isinstance(then["expected"], dict):
        assert isinstance(actual, dict), f"expected an answer, was {actual}"
        assert read(then["expected"]) == read({name: actual.get(name) for name in then["expected"]})
    else:
        assert read(then["expected"]) == read(actual)
