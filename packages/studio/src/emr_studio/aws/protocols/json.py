"""json 1.0 and 1.1: `POST /`, the operation in X-Amz-Target."""

from __future__ import annotations

from typing import Any

from botocore.model import OperationModel, ServiceModel

from emr_studio.aws.protocols.base import Output, ServiceProtocol
from emr_studio.aws.protocols.json_values import JsonReader, JsonWriter, decode_body, encode_body
from emr_studio.aws.wire import WireRequest, WireResponse


class JsonProtocol(ServiceProtocol):
    """emr, cloudtrail, servicecatalog, identitystore, sso-admin, secretsmanager."""

    name = "json"
    denied = ("AccessDeniedException", 400)

    def __init__(self, model: ServiceModel) -> None:
        super().__init__(model)
        self._content_type = f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.1')}"
        self._reader = JsonReader("unixTimestamp")
        self._writer = JsonWriter("unixTimestamp")

    def operation_name(self, request: WireRequest) -> str:
        return request.headers.get("x-amz-target", "").rpartition(".")[2]

    def parse(self, operation: OperationModel, request: WireRequest) -> dict[str, Any]:
        body = decode_body(request.body)
        if operation.input_shape is None:
            return {}
        values: dict[str, Any] = self._reader.read(operation.input_shape, body)
        return values

    def result(self, operation: OperationModel, output: Output, request_id: str) -> WireResponse:
        body = b""
        if operation.output_shape is not None:
            body = encode_body(self._writer.write(operation.output_shape, output or {}))
        return WireResponse(200, self._content_type, body, [("x-amzn-RequestId", request_id)])

    def write_error(self, code: str, message: str, status: int, request_id: str) -> WireResponse:
        # The service's own errors spell the member as their shape does; AWS's front writes `message`.
        shape = self._error_shapes.get(code)
        member = "Message" if shape is not None and "message" not in shape.members else "message"
        body = encode_body({"__type": code, member: message})
        headers = [("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", code)]
        return WireResponse(status, self._content_type, body, headers)
