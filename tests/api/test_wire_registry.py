"""All operations of the product: in AWS's model, and each with declared permissions."""

from __future__ import annotations

import pytest

from emr_studio import app
from emr_studio.aws.models import service_model
from emr_studio.aws.protocols import protocol_of
from emr_studio.aws.registry import no_check, registry
from emr_studio.aws.validation import Validator

# AWS itself asks for no permission here (iam.md section 12) or decides by the role's trust inside.
WITHOUT_CHECKS = {
    ("sts", "GetCallerIdentity"),
    ("sts", "GetSessionToken"),
    ("sts", "AssumeRole"),
    ("sts", "AssumeRoleWithSAML"),
    ("sts", "AssumeRoleWithWebIdentity"),
    # The password policy may let everybody do it; else the permission is asked for inside.
    ("iam", "ChangePassword"),
}


@pytest.fixture(scope="module", autouse=True)
def operations() -> None:
    app.load_operations()


def test_no_operation_lacks_checks() -> None:
    free = {(found.service, found.name) for found in registry.all() if found.checks is no_check}
    assert free <= WITHOUT_CHECKS
    assert all(callable(found.checks) for found in registry.all())


def test_every_operation_is_one_of_the_model_and_can_be_spoken() -> None:
    assert {found.service for found in registry.all()} >= {"emr", "iam", "sts"}
    validator = Validator()
    for found in registry.all():
        model = service_model(found.service)
        assert found.name in model.operation_names, (found.service, found.name)
        shape = model.operation_model(found.name).input_shape
        if shape is not None and shape.required_members:
            with pytest.raises(Exception, match="validation error"):
                validator.check(shape, {})
    for service in {found.service for found in registry.all()}:
        assert protocol_of(service_model(service)).service == service
