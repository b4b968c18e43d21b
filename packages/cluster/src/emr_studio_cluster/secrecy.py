"""What of a log is nobody's to read: a script that prints its environment must not give its role away.

Logs are read by whoever may read their folder in S3, and kept for long. So the cluster's own secrets are taken out of
what goes there. A secret that a script brings itself cannot be known; of the lines that the API shows, what looks like
one is left out too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from emr_studio_cluster.config import NodeConfig

INSTEAD = "****"
_SHORTEST = 12
"""Less would be no secret, and stand in many texts."""
_VARIABLE = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
_LOOKS_LIKE_ONE = re.compile(r"(?i)(secret|password|token|credential)[\w.-]*\s*[=:]\s*\S+")


def secrets_of(node: NodeConfig) -> frozenset[str]:
    """The secrets that a program of this node was told."""
    known = (node.secret, node.connect_token, node.gateway_token, node.livy_token, node.ui_key)
    return frozenset(one for one in (*known, os.environ.get(_VARIABLE, "")) if len(one) >= _SHORTEST)


def without(secrets: Iterable[str], data: bytes) -> bytes:
    """The data with `****` in place of each secret."""
    for one in secrets:
        data = data.replace(one.encode(), INSTEAD.encode())
    return data


def without_likely(line: str) -> str:
    """The line without what looks like a secret: `password=…`."""
    return _LOOKS_LIKE_ONE.sub(r"\1=***", line)
