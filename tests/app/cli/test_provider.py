"""The simulated provider as a command: it says where it is, speaks with the secrets of the settings, and ends when told to."""

import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from connectors.providers.http import HttpProvider
from tests.app.conftest import Ballast
from tests.app.surroundings import assert_one_sentence, command, ended, environment
from tests.connectors.providers.asking import client_id, conversion

PROVIDERS = '{"due": {"key": "us", "secret": "-secret-"}}'


def test_it_converts_for_whoever_has_its_secret(tmp_path: Path) -> None:
    """A conversion that was asked for there is found; its truth is in the data folder."""
    with (tmp_path / "said.err").open("wb") as err:
        process = subprocess.Popen(
            command("provider", "due", "--port", "0", "--json"),
            cwd=tmp_path,
            env=environment({"BALLAST_PROVIDERS": PROVIDERS}),
            stdout=subprocess.PIPE,
            stderr=err,
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            told = json.loads(process.stdout.readline())
            with closing(HttpProvider(told["url"], "us", "-secret-")) as provider:
                provider.convert(conversion(1), 2**60)
                assert client_id(1) == provider.conversion(client_id(1)).client_conversion_id
        finally:
            code = ended(process)
    assert ("due", 0) == (told["provider"], code)
    assert (tmp_path / "ballast-data" / "provider-due.sqlite3").is_file()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("--faults", "{"), ("--faults",)),
        (("--faults", '{"fail_ppm": 2000000}'), ("--faults", "fail_ppm")),
        (("--terms", '{"fee_bps": 50}'), ("--terms", "fee_bps", "in quotes")),
        (("--data", "/dev/null/x"), ("provider", "/dev/null/x")),
    ],
)
def test_what_is_wrong_is_one_sentence(ballast: Ballast, typed: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Faults and terms that are none, and a file that cannot be."""
    assert_one_sentence(ballast("provider", "--port", "0", *typed), *words)
