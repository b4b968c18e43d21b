"""Checks of shapes are made by whichever thread meets them first."""

from __future__ import annotations

import threading

from emr_studio.aws.models import service_model
from emr_studio.aws.validation import Validator

_THREADS = 8


def test_threads_that_meet_a_shape_at_once() -> None:
    for _ in range(50):
        assert failures_of_a_race() == []


def failures_of_a_race() -> list[Exception]:
    """Let threads check the same shape with a new validator at once."""
    shape = service_model("iam").operation_model("CreateUser").input_shape
    validator = Validator()
    barrier = threading.Barrier(_THREADS)
    failures: list[Exception] = []

    def check() -> None:
        barrier.wait()
        try:
            validator.check(shape, {"UserName": "a", "Tags": [{"Key": "a", "Value": "b"}]})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=check) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures
