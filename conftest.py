"""What holds for all suites: the random cases of a test are the same in every run, and none of them is timed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A case that is found by chance fails the run of somebody who changed nothing near it, and a loaded machine is slow:
# neither says that the code is wrong. New cases: `pytest --hypothesis-profile=default`.
settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
