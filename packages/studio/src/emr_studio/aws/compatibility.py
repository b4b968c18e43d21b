"""docs/compatibility.md: every operation of every served service, served or not yet; made from the registry."""

from __future__ import annotations

from emr_studio.aws.models import service_model
from emr_studio.aws.pipeline import ALWAYS_SERVED
from emr_studio.aws.registry import Registry

_HEAD = """# Compatibility

Made from the operation registry by `make reference`; do not edit.

Every operation of every AWS service that this installation serves. An operation that is not served yet is
answered with AWS's own "Could not find operation".
"""


def render(registry: Registry) -> str:
    """Return the page as Markdown. All operation modules must have been imported."""
    served: dict[str, set[str]] = {name: set() for name in ALWAYS_SERVED}
    for operation in registry.all():
        served.setdefault(operation.service, set()).add(operation.name)
    parts = [_HEAD, "| service | protocol | served | of |", "|---|---|---|---|"]
    for service, names in sorted(served.items()):
        model = service_model(service)
        parts.append(
            f"| [{service}](#{service}) | {model.metadata['protocol']} | {len(names)} | {len(model.operation_names)} |"
        )
    for service, names in sorted(served.items()):
        parts += ["", f"## {service}", "", "| operation | served |", "|---|---|"]
        parts += [
            f"| {name} | {'yes' if name in names else 'not yet'} |"
            for name in sorted(service_model(service).operation_names)
        ]
    return "\n".join(parts) + "\n"
