"""IAM's and STS's own errors (codes as on the wire, statuses as in the model)."""

from __future__ import annotations

from emr_studio.aws.errors import ClientError


class NoSuchEntity(ClientError):
    """404."""

    def __init__(self, message: str) -> None:
        super().__init__("NoSuchEntity", message, 404)


class EntityAlreadyExists(ClientError):
    """409."""

    def __init__(self, message: str) -> None:
        super().__init__("EntityAlreadyExists", message, 409)


class LimitExceeded(ClientError):
    """409: a quota."""

    def __init__(self, message: str) -> None:
        super().__init__("LimitExceeded", message, 409)


class DeleteConflict(ClientError):
    """409: something still hangs on the entity."""

    def __init__(self, message: str) -> None:
        super().__init__("DeleteConflict", message, 409)


class InvalidInput(ClientError):
    """400."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidInput", message)


class PolicyNotAttachable(ClientError):
    """400: a policy that only service-linked roles have."""

    def __init__(self, message: str) -> None:
        super().__init__("PolicyNotAttachable", message)


class UnmodifiableEntity(ClientError):
    """400: a service-linked role, which only its service changes."""

    def __init__(self, role_name: str) -> None:
        super().__init__(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{role_name}' - this role is only modifiable by AWS",
        )


class MalformedPolicyDocument(ClientError):
    """400; the message says what is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocument", message)


class PasswordPolicyViolation(ClientError):
    """400."""

    def __init__(self, message: str) -> None:
        super().__init__("PasswordPolicyViolation", message)


class AssumeRoleDenied(ClientError):
    """A service may not assume a role that it was given.

    The message holds "entity does not have permissions to assume role": Terraform retries on it.
    """

    def __init__(self, role_arn: str) -> None:
        super().__init__(
            "InvalidRequestException",
            f"The entity does not have permissions to assume role {role_arn}. "
            "Check the trust policy of the role: its principal, aws:SourceAccount and aws:SourceArn.",
        )


class RoleNotFound(ClientError, LookupError):
    """A role that another service was given does not exist; services answer with their own code."""

    def __init__(self, role: str) -> None:
        super().__init__("InvalidRequestException", f"The role {role} does not exist or cannot be assumed.")
