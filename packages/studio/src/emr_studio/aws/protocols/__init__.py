"""AWS's protocols, each in one file: parse a request, serialise a result, serialise an error."""

from __future__ import annotations

from botocore.model import ServiceModel

from emr_studio.aws.protocols.base import ServiceProtocol
from emr_studio.aws.protocols.json import JsonProtocol
from emr_studio.aws.protocols.query import QueryProtocol
from emr_studio.aws.protocols.rest_json import RestJsonProtocol

_PROTOCOLS: dict[str, type[ServiceProtocol]] = {
    "json": JsonProtocol,
    "query": QueryProtocol,
    "rest-json": RestJsonProtocol,
}


def protocol_of(model: ServiceModel) -> ServiceProtocol:
    """Return the protocol of a service that we speak: its first, or another that its model lists.

    Raises:
        NotImplementedError: if the service speaks none that is written yet.
    """
    offered = model.metadata.get("protocols") or [model.metadata["protocol"]]
    for name in offered:
        if name in _PROTOCOLS:
            return _PROTOCOLS[name](model)
    raise NotImplementedError(f"{model.service_name} speaks {', '.join(offered)}")
