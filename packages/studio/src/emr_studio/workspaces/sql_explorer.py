"""Whether the compute of a Workspace has what the SQL explorer needs, and if not, why (EX-05; emr-studio.md 7.5).

It asks by a PySpark kernel of ours, which shows the catalog that notebooks see. Where the attached compute
has no such kernel, this says so before anybody tries.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from emr_studio.clusters.model import Cluster
from emr_studio.clusters.outside.model import Kind, kind_of
from emr_studio.workspaces.model import Editor, Status

_ATTACH = "Attach a cluster in the Compute panel."
_OURS = "Attach an EMR on EC2 cluster, or a Spark Connect server, in the Compute panel."


@dataclass(frozen=True)
class Refusal:
    """Why there is no SQL explorer: what the matter is, in a few words and in full, and what to do instead."""

    code: str
    title: str
    reason: str
    advice: str


_NO_COMPUTE = Refusal(
    "NO_COMPUTE",
    "No compute attached",
    "The SQL explorer shows the catalog of the cluster that this Workspace is attached to.",
    _ATTACH,
)
_ATTACHING = Refusal("ATTACHING", "Compute is being attached", "The catalog is there once it is attached.", "")
_RUNTIME_ROLE = Refusal(
    "RUNTIME_ROLE",
    "Not with a runtime role",
    "The SQL explorer does not work where the Workspace is attached with a runtime role.",
    "Use %%sql in a PySpark notebook, which has that role's rights; or attach the cluster without a role.",
)
_OUTSIDE = {
    Kind.JUPYTER_GATEWAY: Refusal(
        "OUTSIDE_GATEWAY",
        "Not on a kernel gateway from outside",
        "Its kernels are its own, and none of them is known to have a Spark catalog.",
        f"Use one of its kernels in a notebook. {_OURS}",
    ),
    Kind.LIVY: Refusal(
        "OUTSIDE_LIVY",
        "Not on a Livy from outside",
        "Its statements run in sessions of that Livy, which the SQL explorer cannot ask for a catalog.",
        f"Use a SQL notebook, or %%sql in a PySpark one: they run in a session there. {_OURS}",
    ),
}


def refusal(session: Session, editor: Editor) -> Refusal | None:
    """Why a Workspace has no SQL explorer at present; None if it has one."""
    if editor.status == Status.ATTACHING:
        return _ATTACHING
    cluster = session.get(Cluster, editor.attached_cluster_id) if editor.attached_cluster_id else None
    if editor.status != Status.ATTACHED or cluster is None:
        return _NO_COMPUTE
    if editor.wanted_role_arn:
        return _RUNTIME_ROLE
    kind = kind_of(cluster)
    return _OUTSIDE.get(kind) if kind else None
