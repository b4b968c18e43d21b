"""The operation registry: an operation is one typed function, found by service and name.

    @operation("emr", "DescribeStudio", checks=_studio("elasticmapreduce:DescribeStudio"))
    def describe_studio(context: Context, request: Request) -> Response:
        ...

`checks` is a function of (context, request) that returns the questions to IAM, all of which must be
allowed before the function runs. It may read the database (to supply resource tags) and may raise
the service's own error for a resource that does not exist. An operation without checks is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emr_studio.aws.context import Check, Context, Preparation

Request = Mapping[str, Any]
Response = Mapping[str, Any] | None
OperationFunction = Callable[[Context, Request], Response]
ChecksFunction = Callable[[Context, Request], Iterable[Check]]
PrepareFunction = Callable[[Preparation, Request], Any]

_READ_PREFIXES = ("Describe", "List", "Get", "Head", "Lookup", "Simulate")


@dataclass(frozen=True)
class Operation:
    """A registered operation. `service` is botocore's name (`emr`, `iam`, `sts`)."""

    service: str
    name: str
    function: OperationFunction
    checks: ChecksFunction
    read_only: bool
    prepare: PrepareFunction | None = None
    """Runs before the operation's transaction; what it returns is `Context.prepared`."""


class Registry:
    """All operations that this installation serves."""

    def __init__(self) -> None:
        self._operations: dict[tuple[str, str], Operation] = {}

    def add(self, operation: Operation) -> None:
        key = (operation.service, operation.name)
        if key in self._operations:
            raise ValueError(f"{operation.service}:{operation.name} is registered twice")
        self._operations[key] = operation

    def find(self, service: str, name: str) -> Operation | None:
        return self._operations.get((service, name))

    def all(self) -> list[Operation]:
        return sorted(self._operations.values(), key=lambda o: (o.service, o.name))


registry = Registry()


def no_check(_context: Context, _request: Request) -> Iterable[Check]:
    """For the few operations that AWS lets anyone with valid credentials call (sts:GetCallerIdentity)."""
    return ()


def action(name: str, resource: str = "*") -> ChecksFunction:
    """Checks for an operation whose action has no resource-level permissions."""

    def checks(_context: Context, _request: Request) -> Iterable[Check]:
        return (Check(name, resource),)

    return checks


def operation(
    service: str,
    name: str,
    *,
    checks: ChecksFunction,
    read_only: bool | None = None,
    prepare: PrepareFunction | None = None,
) -> Callable[[OperationFunction], OperationFunction]:
    """Register a function as the operation `name` of `service`.

    `read_only` defaults to what the name says; a reading operation gets a session that is never
    committed. `prepare` is for what waits (a network) or must stay though the operation is refused.
    """

    def register(function: OperationFunction) -> OperationFunction:
        reads = name.startswith(_READ_PREFIXES) if read_only is None else read_only
        registry.add(Operation(service, name, function, checks, reads, prepare))
        return function

    return register
