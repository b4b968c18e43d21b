"""Where a registered URL leads: what it must look like, and where it must not lead."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from emr_studio.aws.errors import InvalidRequest
from emr_studio.clusters.outside.model import Authentication, Kind
from emr_studio.runtime import door

_PORTS = {"http": 80, "https": 443, "sc": 15002}
_HIGHEST_PORT = 65_535
_LOOPBACK = "127.0.0.1"
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+")
_PATH = re.compile(r"[A-Za-z0-9._~/@:+-]*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_PARAMETER = re.compile(r"([A-Za-z0-9_.-]{1,100})=([^;=\s]*)")
_TOKEN, _TLS = "token", "use_ssl"
_EACH_KERNELS_OWN = ("session_id", "authorization")
_SHOWN_PARAMETERS = (_TLS, "user_id")


@dataclass(frozen=True)
class Target:
    """What was registered."""

    url: str
    """As it is shown: without credentials."""
    authentication: Authentication
    proof: str
    """What is sealed (`OutsideCluster.sealed`)."""


def target(kind: Kind, url: str, token: str | None, user_name: str | None, password: str | None) -> Target:
    """The target of a request.

    Raises:
        InvalidRequest: saying what is wrong, without the URL: there may be a password in it.
    """
    if kind is Kind.SPARK_CONNECT:
        return _connect_target(url, token, user_name, password)
    authentication, header = authorization(token, user_name, password, "token" if _is_gateway(kind) else "Bearer")
    return Target(gateway_url(url) if _is_gateway(kind) else web_url(url), authentication, header)


def _is_gateway(kind: Kind) -> bool:
    return kind is Kind.JUPYTER_GATEWAY


def gateway_url(url: str) -> str:
    """The URL of a kernel gateway in its plain form, `https://host[:port][/base]`.

    Raises:
        InvalidRequest: as `web_url`.
    """
    return web_url(url).removesuffix("/api")


def web_url(url: str) -> str:
    """The URL of a server in its plain form, `https://host[:port][/base]`.

    Raises:
        InvalidRequest: saying what is wrong, without the URL: there may be a password in it.
    """
    parts, _ = _split(url)
    if parts.scheme not in ("http", "https"):
        raise InvalidRequest("Url must begin with http:// or https://.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvalidRequest(
            "Url must have neither user, query nor fragment; credentials are Token, or UserName and Password."
        )
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise InvalidRequest("The path of Url is not valid.")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _connect_target(url: str, token: str | None, user_name: str | None, password: str | None) -> Target:
    """A connection string: `sc://host:port/;use_ssl=true;token=…;user_id=…;x-header=…`, as pyspark reads it."""
    if user_name or password:
        raise InvalidRequest("Spark Connect takes a Token, neither UserName nor Password.")
    parts, port = _split(url)
    path, semicolon, text = parts.path.partition(";")
    if parts.scheme != "sc" or path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidRequest("Url of Spark Connect must look like sc://spark.example.com:15002/;use_ssl=true.")
    given = _parameters(text) if semicolon and text else {}
    if token and _TOKEN in given:
        raise InvalidRequest("Token and the token in Url are mutually exclusive.")
    if token:
        given[_TOKEN] = quote(token, safe="")
    # It must fit into a header.
    authorization(unquote(given.get(_TOKEN, "")), None, None)
    given[_TLS] = "true" if _uses_tls(given, parts.hostname or "") else "false"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    shown = "".join(f";{name}={given[name]}" for name in _SHOWN_PARAMETERS if given.get(name, "false") != "false")
    proof = ";".join(f"{name}={value}" for name, value in given.items())
    # A header of one's own proves something too.
    proves = any(name not in (*_SHOWN_PARAMETERS, "user_agent") for name in given)
    authentication = Authentication.TOKEN if proves else Authentication.NONE
    return Target(f"sc://{host}:{port}/{shown}".removesuffix("/"), authentication, proof)


def _uses_tls(given: Mapping[str, str], host: str) -> bool:
    """As pyspark decides: a token goes over TLS, unless it goes to this machine."""
    is_here = host == "localhost" or host.startswith("127.") or host == "::1"
    return given.get(_TLS, "").lower() == "true" or (_TOKEN in given and not is_here)


def _parameters(text: str) -> dict[str, str]:
    found = {}
    for piece in text.removesuffix(";").split(";"):
        match = _PARAMETER.fullmatch(piece)
        if match is None or match[1] in found or not unquote(match[2]).isprintable():
            raise InvalidRequest("The parameters of Url must be name=value, joined by semicolons, each name once.")
        if match[1].lower() in _EACH_KERNELS_OWN:
            raise InvalidRequest(f"Url must not have {match[1]}: each kernel has its own session, a token is token=.")
        found[match[1]] = match[2]
    return found


@dataclass(frozen=True)
class Connection:
    """What the programs of a Spark Connect cluster are told."""

    url: str
    """For the door: `https://host:port` or `http://…`."""
    authority: str
    token: str
    parameters: str
    """The others."""


def connection(url: str, proof: str) -> Connection:
    """Take apart what `target` has made of a connection string."""
    given = dict(piece.split("=", 1) for piece in proof.split(";") if piece)
    tls, token = given.pop(_TLS) == "true", unquote(given.pop(_TOKEN, ""))
    authority = urlsplit(url).netloc
    others = ";".join(f"{name}={value}" for name, value in given.items())
    return Connection(f"{'https' if tls else 'http'}://{authority}", authority, token, others)


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


def authorization(
    token: str | None, user_name: str | None, password: str | None, scheme: str = "token"
) -> tuple[Authentication, str]:
    """The kind of the credentials, and the Authorization header that they make.

    Raises:
        InvalidRequest: they do not go together, or can stand in no header.
    """
    if token and (user_name or password):
        raise InvalidRequest("Token and UserName are mutually exclusive.")
    if token:
        if not _PRINTABLE.fullmatch(token):
            raise InvalidRequest("Token must consist of printable ASCII characters.")
        return Authentication.TOKEN, f"{scheme} {token}"
    if user_name or password:
        if not user_name or not password or ":" in user_name:
            raise InvalidRequest("UserName (without a colon) and Password go together.")
        pair = base64.b64encode(f"{user_name}:{password}".encode()).decode()
        return Authentication.BASIC, f"Basic {pair}"
    return Authentication.NONE, ""
