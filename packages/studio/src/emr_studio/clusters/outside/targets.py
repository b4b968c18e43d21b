"""Where a registered URL leads: what it must look like, and where it must not lead."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from emr_studio.aws.errors import InvalidRequest
from emr_studio.clusters.outside.model import Authentication
from emr_studio.runtime import door

_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
_LOOPBACK = "127.0.0.1"
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+")
_PATH = re.compile(r"[A-Za-z0-9._~/@:+-]*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def gateway_url(url: str) -> str:
    """The URL of a kernel gateway in its plain form, `https://host[:port][/base]`.

    Raises:
        InvalidRequest: saying what is wrong, without the URL: there may be a password in it.
    """
    parts, _ = _split(url)
    if parts.scheme not in _PORTS:
        raise InvalidRequest("Url must begin with http:// or https://.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvalidRequest(
            "Url must have neither user, query nor fragment; credentials are Token, or UserName and Password."
        )
    path = parts.path.rstrip("/").removesuffix("/api")
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise InvalidRequest("The path of Url is not valid.")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port if parts.port is not None else _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise InvalidRequest("Url is not valid.") from error
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or not 0 <= port <= _HIGHEST_PORT or parts.port == 0:
        raise InvalidRequest("Url must name a host: https://gateway.example.com:8888/base.")
    return parts, port


def check_target(url: str, local_targets: Sequence[str]) -> None:
    """Refuse at once an address that the way out would refuse at each connection (`runtime/door.py`).

    Names are looked up there, not here: no request waits for a name server, and a name may change.

    Raises:
        InvalidRequest: it leads to this machine or its surroundings.
    """
    parts, port = _split(url)
    host = parts.hostname or ""
    try:
        door.check(_LOOPBACK if host.endswith("localhost") else host, port, local_targets)
    except door.Trouble as trouble:
        raise InvalidRequest(f"Url cannot be used: {trouble}") from trouble
    except ValueError:
        return


def authorization(token: str | None, user_name: str | None, password: str | None) -> tuple[Authentication, str]:
    """The kind of the credentials, and the Authorization header that they make.

    Raises:
        InvalidRequest: they do not go together, or can stand in no header.
    """
    if token and (user_name or password):
        raise InvalidRequest("Token and UserName are mutually exclusive.")
    if token:
        if not _PRINTABLE.fullmatch(token):
            raise InvalidRequest("Token must consist of printable ASCII characters.")
        return Authentication.TOKEN, f"token {token}"
    if user_name or password:
        if not user_name or not password or ":" in user_name:
            raise InvalidRequest("UserName (without a colon) and Password go together.")
        pair = base64.b64encode(f"{user_name}:{password}".encode()).decode()
        return Authentication.BASIC, f"Basic {pair}"
    return Authentication.NONE, ""
