"""A secret that stands wherever the settings of tests have one, and that nothing they run ever says.

What a test prints and logs, what its processes say through pipes and what they write to logs is looked through, in every
test of a run. The password of the server that BALLAST_TEST_POSTGRES names is looked for too.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

CANARY = "never-show-this"
SECRETS = {CANARY, str(conninfo_to_dict(os.environ.get("BALLAST_TEST_POSTGRES", "")).get("password") or CANARY)}


def with_canary(dsn: str) -> str:
    """The DSN with a password, for a server that asks for none."""
    return make_conninfo(dsn, password=CANARY)


def has_secret(text: str | bytes | None) -> bool:
    """Whether a secret is said in it."""
    said = text.encode() if isinstance(text, str) else text or b""
    return any(secret.encode() in said for secret in SECRETS)


def assert_discreet(folder: Path) -> None:
    """No log in the folder, nor below it, has a secret."""
    assert [] == [str(log) for log in folder.rglob("*.log") if log.is_file() and has_secret(log.read_bytes())]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of which something that was captured has a secret has failed."""
    report = yield
    told = [title for title, text in report.sections if has_secret(text)]
    if told:
        report.outcome, report.longrepr = "failed", f"{item.nodeid} shows a secret: {', '.join(told)}"
    return report


@pytest.fixture(autouse=True)
def discreet_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves a log with a secret in its folder has failed."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        assert_discreet(folder)


@pytest.fixture(autouse=True, scope="session")
def discreet_processes() -> Iterator[None]:
    """Every process whose output a test reads to its end is listened to."""
    communicate = Popen.communicate

    def listened(process: "Popen[Any]", *arguments: Any, **named: Any) -> Any:
        said = communicate(process, *arguments, **named)
        assert not any(map(has_secret, said)), f"a process shows a secret: {process.pid}"
        return said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Popen, "communicate", listened)
        yield
