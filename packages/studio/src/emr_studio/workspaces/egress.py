"""May a Workspace go out to this address? Its subnet's routes and its Studio's Workspace security group say."""

from __future__ import annotations

import ipaddress

from emr_studio.db import Database
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.network.model import egress_allowed, no_way_out
from emr_studio.studios.model import Studio
from emr_studio.workspaces.model import RUNNING, Editor

_ALLOWED = EdgeAnswer(status=204)


class EgressGate:
    """Answers the relay's questions, `/<Workspace>/<address>/<port>`, at each connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, asked: EdgeRequest) -> EdgeAnswer:
        """204: yes. 403: no, and why."""
        try:
            _, editor_id, host, number = asked.path.split("/")
            address, port = ipaddress.ip_address(host), int(number)
        except ValueError:
            return _refused("This is no address.")
        return self._decide(editor_id, address, port)

    def _decide(self, editor_id: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> EdgeAnswer:
        with self._database.read() as session:
            editor = session.get(Editor, editor_id)
            if editor is None or editor.status not in RUNNING:
                return _refused("The Workspace does not run.")
            studio = session.get(Studio, editor.studio_id)
            if studio is None:
                return _refused("The Workspace's Studio no longer exists, and with it what allowed the way out.")
            if reason := no_way_out(session, editor.subnet_id):
                return _refused(reason)
            group_id = studio.workspace_security_group_id
            if egress_allowed(session, group_id, address, port):
                return _ALLOWED
        return _refused(
            f"Security group {group_id} does not let this Workspace out to {address} at port {port}. "
            "An administrator can add an outbound rule (TCP 443 for Git over HTTPS)."
        )


def _refused(message: str) -> EdgeAnswer:
    return EdgeAnswer(status=403, body=message.encode())
