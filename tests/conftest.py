"""What all tests share: how hypothesis searches, and that no secret is said.

Examples have no deadline, since a busy machine is no fault. In CI the examples are the same every time, so that a failure
there is a failure everywhere.
"""

import os

from hypothesis import HealthCheck, settings

from tests.canary import discreet_logs, discreet_processes, pytest_runtest_makereport

__all__ = ["discreet_logs", "discreet_processes", "pytest_runtest_makereport"]

settings.register_profile("ballast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ballast_ci", settings.get_profile("ballast"), derandomize=True)
settings.load_profile("ballast_ci" if os.environ.get("CI") == "true" else "ballast")
