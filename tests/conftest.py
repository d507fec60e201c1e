"""What all tests share: how hypothesis searches, and that no secret is said.

Examples have no deadline, since a busy machine is no fault. In CI the examples are the same every time, so that a failure
there is a failure everywhere.

What takes longest begins first, so that nothing is waited for at the end while other processes have nothing left to do.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.canary import discreet_logs, discreet_processes, pytest_runtest_makereport

__all__ = ["discreet_logs", "discreet_processes", "pytest_runtest_makereport"]

settings.register_profile("ballast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ballast_ci", settings.get_profile("ballast"), derandomize=True)
settings.load_profile("ballast_ci" if os.environ.get("CI") == "true" else "ballast")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what kills processes, whatever order the rest is in."""
    items.sort(key=lambda item: "chaos" not in item.path.parts)
