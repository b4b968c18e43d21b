"""Which service a request is for: by its credential scope, its target, its action and version, its host."""

from __future__ import annotations

from collections.abc import Iterable

from emr_studio.aws import sigv4
from emr_studio.aws.errors import AuthError, AuthFailure
from emr_studio.aws.models import service_model
from emr_studio.aws.protocols import protocol_of
from emr_studio.aws.protocols.base import ServiceProtocol
from emr_studio.aws.wire import WireRequest


class Router:
    """The served services, each with its protocol."""

    def __init__(self, services: Iterable[str]) -> None:
        self.services: dict[str, ServiceProtocol] = {
            name: protocol_of(service_model(name)) for name in sorted(services)
        }
        self._by_scope: dict[str, list[ServiceProtocol]] = {}
        self._by_target: dict[str, ServiceProtocol] = {}
        self._by_host: dict[str, ServiceProtocol] = {}
        for protocol in self.services.values():
            model = protocol.model
            self._by_scope.setdefault(model.signing_name, []).append(protocol)
            self._by_host[model.endpoint_prefix] = protocol
            if prefix := model.metadata.get("targetPrefix"):
                self._by_target[prefix] = protocol

    def find(self, request: WireRequest) -> ServiceProtocol | None:
        """Return the service that the request is for, None if it is none of ours.

        Raises:
            AuthError: if it is signed for one service and asks for another's operation.
        """
        target = self._by_target.get(request.headers.get("x-amz-target", "").rpartition(".")[0])
        scope = sigv4.scope_service(request)
        if scope is not None:
            candidates = self._by_scope.get(scope, [])
            if target is not None and target not in candidates:
                raise AuthError(
                    AuthFailure.SCOPE, f"Credential should be scoped to correct service: '{target.model.signing_name}'."
                )
            return target or (candidates[0] if candidates else None)
        return (
            target or self._by_action(request) or self._by_host.get(request.headers.get("host", "").partition(".")[0])
        )

    def _by_action(self, request: WireRequest) -> ServiceProtocol | None:
        try:
            version = request.form.get("Version")
        except ValueError:
            return None
        for protocol in self.services.values():
            if protocol.name == "query" and protocol.model.api_version == version:
                return protocol
        return None

    def fallback(self, request: WireRequest) -> ServiceProtocol:
        """Return some service that speaks the request's protocol, to answer in for a service that is not ours."""
        wanted = "query"
        if "x-amz-target" in request.headers or "json" in request.headers.get("content-type", ""):
            wanted = "json"
        for protocol in self.services.values():
            if protocol.name == wanted:
                return protocol
        return next(iter(self.services.values()))
