"""What every protocol has in common: one instance per served service, its plans made once per shape.

A *plan* is a function made from a shape at first use. Members are looked up by shape at plan time, so
that a request pays for the walk through its own data only.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel
from botocore.utils import parse_timestamp

from emr_studio.aws.auth import for_protocol
from emr_studio.aws.errors import (
    AccessDenied,
    AuthError,
    AwsError,
    SerializationError,
    UnknownOperation,
    ValidationError,
)
from emr_studio.aws.models import Shape
from emr_studio.aws.validation import Validator
from emr_studio.aws.wire import WireRequest, WireResponse

Output = Mapping[str, Any] | None


class ServiceProtocol(ABC):
    """One service on the wire: names the operation, parses its input, serialises results and errors."""

    name: str
    """botocore's name of the protocol."""
    validation_code = "ValidationException"
    serialization_code = "SerializationException"
    denied = ("AccessDeniedException", 403)
    unknown = ("UnknownOperationException", 400)

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.service: str = model.service_name
        self._operations: dict[str, OperationModel] = {
            name: model.operation_model(name) for name in model.operation_names
        }
        self._error_shapes: dict[str, Shape] = {}
        for shape in model.error_shapes:
            self._error_shapes[shape.name] = shape
            self._error_shapes[shape.metadata.get("error", {}).get("code", shape.name)] = shape
        self._validator = Validator()

    @abstractmethod
    def operation_name(self, request: WireRequest) -> str:
        """Return the name of the operation that the request asks for.

        Raises:
            SerializationError: if it cannot be read.
        """

    @abstractmethod
    def parse(self, operation: OperationModel, request: WireRequest) -> dict[str, Any]:
        """Return the operation's input by member name, unvalidated.

        Raises:
            SerializationError: not the protocol's form, or a wrong type.
        """

    @abstractmethod
    def result(self, operation: OperationModel, output: Output, request_id: str) -> WireResponse:
        """Return the answer of a successful operation."""

    @abstractmethod
    def write_error(self, code: str, message: str, status: int, request_id: str) -> WireResponse:
        """Return the answer that says `code`."""

    def operation(self, request: WireRequest) -> OperationModel:
        """Return the operation that the request asks for.

        Raises:
            UnknownOperation: if the service's model has none of that name.
            SerializationError: if the name cannot be read.
        """
        name = self.operation_name(request)
        found = self._operations.get(name)
        if found is None:
            raise self.unknown_operation(name)
        return found

    def unknown_operation(self, name: str) -> UnknownOperation:
        """The error for an operation that is not served."""
        return UnknownOperation(name)

    def read(self, operation: OperationModel, request: WireRequest) -> dict[str, Any]:
        """Parse and validate the input.

        Raises:
            SerializationError, ValidationError
        """
        try:
            values = self.parse(operation, request)
            if operation.input_shape is not None:
                self._validator.check(operation.input_shape, values)
        except RecursionError:
            raise SerializationError("The request is nested too deeply.") from None
        return values

    def error(self, error: AwsError, request_id: str) -> WireResponse:
        """Return the answer for any error of ours, with this protocol's code and status."""
        code, message, status = self.described(error)
        return self.write_error(code, message, status, request_id)

    def described(self, error: AwsError) -> tuple[str, str, int]:
        """Code, message and status of an error as this protocol says it; the trail says it alike."""
        if isinstance(error, AuthError):
            error = for_protocol(error, self.name)
        code, status = error.code, error.status
        if isinstance(error, AccessDenied):
            code, status = self.denied
        elif isinstance(error, ValidationError):
            code = self.validation_code
        elif isinstance(error, SerializationError):
            code = self.serialization_code
        elif isinstance(error, UnknownOperation):
            code, status = self.unknown
        else:
            shape = self._error_shapes.get(code)
            if shape is not None:
                status = shape.metadata.get("error", {}).get("httpStatusCode", status)
        return code, error.message, status


# Scalars that several protocols read and write alike.


def parse_blob(text: str) -> bytes:
    """Decode base64.

    Raises:
        SerializationError
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SerializationError("Blob is not valid base64.") from None


def parse_time(value: Any) -> dt.datetime:
    """Read ISO 8601, RFC 822 or seconds since 1970 (a number or its text), as an aware UTC time.

    Raises:
        SerializationError
    """
    try:
        moment: dt.datetime = parse_timestamp(value)
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, TypeError, RuntimeError, OSError):
        raise SerializationError("Timestamp is not valid.") from None


def format_time(moment: dt.datetime, form: str) -> Any:
    """Write a time as `iso8601` (whole seconds), `rfc822` or `unixTimestamp` (a number)."""
    if form == "unixTimestamp":
        return round(moment.timestamp(), 3)
    utc = moment.astimezone(dt.UTC)
    if form == "rfc822":
        return utc.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def plan_key(shape: Shape) -> tuple[Any, ...]:
    """What a plan of a shape depends on: its name and what its reference adds to it."""
    return shape.name, shape.type_name, tuple(sorted((k, str(v)) for k, v in shape.serialization.items()))


class PlanCache:
    """Plans by shape; a recursive shape (EMR's Configuration) finds its own plan at run time."""

    def __init__(self, make: Callable[[Shape], Callable[..., Any]]) -> None:
        self._make = make
        self._plans: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._making: set[tuple[Any, ...]] = set()

    def get(self, shape: Shape) -> Callable[..., Any]:
        """Return the plan of `shape`."""
        key = plan_key(shape)
        found = self._plans.get(key)
        if found is not None:
            return found
        if key in self._making:

            def later(*arguments: Any) -> Any:
                return self._plans[key](*arguments)

            return later
        self._making.add(key)
        try:
            plan = self._make(shape)
        finally:
            self._making.discard(key)
        self._plans[key] = plan
        return plan
