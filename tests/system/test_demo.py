"""The main job by the public API, as `emr-studio demo` does it, on real Spark."""

from __future__ import annotations

import pytest

from tests.support.studio import Studio, command


@pytest.mark.capability("WS-02", "WS-11", "SG-03", "SG-04")
def test_demo_does_the_main_job(studio: Studio) -> None:
    done = command("demo", "--data-dir", str(studio.data_dir), timeout=1100, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{studio.logs()}"
    assert "All of it really happened" in done.stdout
    assert done.stdout.count("✓") == 12
