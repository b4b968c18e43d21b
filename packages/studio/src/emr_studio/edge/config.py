"""Caddy's configuration, as its native JSON, from the settings. Pure: no file is read or written.

JSON and not a Caddyfile, because the order in which a request is handled is what keeps it safe, and
in JSON the order is the one written here:

    strip what only the edge may say -> 404 for the control plane's inner paths -> by host:
    S3-signed (ask, then the store) | base and Studio hosts (control plane) | Workspaces and
    application UIs (ask, then the address of the answer) -> 404 for every other host

There are no routes for single resources: nothing changes while it runs, so nothing reloads, and no
websocket is cut by a reload (Caddy would close them all). Placeholders: https://caddyserver.com/docs/conventions
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from emr_studio.edge.decisions import (
    CHANGES,
    DELETE,
    IDENTITY,
    MISSING,
    QUESTION,
    REPLACE_PREFIX,
    REPLACEABLE,
    UPSTREAM,
    URI,
)
from emr_studio.settings import Settings

Json = dict[str, Any]

CONTROL_PLANE_MAX_BODY = 16 * 1024 * 1024
"""Bytes; AWS's own limit for the services served is below 1 MB. S3 and Workspaces have none here."""
_RETRY = {"try_duration": "20s", "try_interval": "100ms"}
"""While the control plane restarts, requests wait for it (only dialling is tried again)."""
# Shorter than uvicorn's own 5 s: else a request could meet a connection that is being closed.
_TRANSPORT = {"protocol": "http", "compression": False, "keep_alive": {"idle_timeout": "3s"}}
_LOOPBACK = "127.0.0.1"
NOT_THE_STORES = ("Authorization", "Cookie")
"""What the embedded store is not told of a request."""
STORES_NOTES = ("Seaweed-X-Amz-Etag", "Seaweed-X-Amz-Owner")
"""What the embedded store notes of an object in its answers: S3 has no such headers."""
SANDBOX = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
}
"""With objects on the console's own origin: they are shown, but what they hold is never run there."""
_UPSTREAM_VAR = "emr_studio_upstream"
_MISSING_VAR, _TOKEN_VAR = "emr_studio_missing", "emr_studio_token"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_GATEWAYS, _LIVYS = ["/_gateway/j-*"], ["/_livy/j-*"]
_SPARK_SERVICE = "spark.connect.SparkConnectService"
_SPARK_REPLACEABLE = ("Authorization", "Cookie", "X-Aws-Proxy-Auth")
_IMMUTABLE = "public, max-age=31536000, immutable"
# JupyterLab's `1014.073326ef5d98db5e.js` and `0031b1860ea4ad75.woff`, Vite's `index-BX3f9a0Q.js`.
_HASHED_LAB = r"(\.|/)[0-9a-f]{16,}\.[a-z0-9.]+$"
PRECOMPRESSED = {"precompressed": {"gzip": {}}, "precompressed_order": ["gzip"]}
"""What `precompress.py` has put beside a file is sent in its place."""
NOT_AVAILABLE = "The studio does not answer at this address now. Try again in a moment.\n"
"""What a client is told while what it asked for restarts."""


def caddy_config(settings: Settings) -> Json:
    """The whole configuration."""
    config: Json = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(edge_dir(settings) / "storage")},
        "logging": {"logs": {"default": {"level": "WARN", "encoder": {"format": "console"}}}},
        "apps": {"http": {"grace_period": "2s", "servers": {"edge": _server(settings)}}},
    }
    if settings.scheme == "https":
        config["apps"] |= _internal_certificates(settings)
    return config


def edge_dir(settings: Settings) -> Path:
    """Where the edge keeps its configuration and certificates."""
    return settings.data_dir / "edge"


def edge_socket(settings: Settings) -> Path:
    """Where the edge listens behind the lane; only our own user can open it."""
    return settings.run_dir / "edge.sock"


def listens_at(settings: Settings) -> str:
    """The edge's address as Caddy has it: at the studio's port, or behind the lane."""
    return f"unix/{edge_socket(settings)}|0600" if settings.has_lane else f"{_LOOPBACK}:{settings.port}"


def base_domain(settings: Settings) -> str:
    """The base domain without its port, lower case."""
    return re.sub(r":\d+$", "", settings.host_port).lower()


def _server(settings: Settings) -> Json:
    secure = settings.scheme == "https"
    server: Json = {
        "listen": [listens_at(settings)],
        # Spark Connect is gRPC, which needs HTTP/2, without TLS as with it.
        "protocols": ["h1", "h2"] if secure else ["h1", "h2c"],
        "automatic_https": {"disable_redirects": True} if secure else {"disable": True},
        "read_header_timeout": "30s",
        "idle_timeout": "5m",
        "max_header_bytes": 64 * 1024,
        "routes": _routes(settings),
        "errors": {"routes": _error_routes()},
    }
    if secure:
        server["tls_connection_policies"] = [{}]
    if settings.has_lane:
        # Who the client is, the lane says first on each connection.
        server["listener_wrappers"] = [{"wrapper": "proxy_protocol", "timeout": "5s"}]
    return server


def _internal_certificates(settings: Settings) -> Json:
    domain = base_domain(settings)
    subjects = [
        domain,
        *(f"*.{kind}.{domain}" for kind in ("studio", "workspace", "appui")),
        f"s3.{domain}",
        f"*.s3.{domain}",
    ]
    return {
        "tls": {"automation": {"policies": [{"subjects": subjects, "issuers": [{"module": "internal"}]}]}},
        "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
    }


# --- Routes, in the order in which they are tried -------------------------------------------------


def _routes(settings: Settings) -> list[Json]:
    domain = base_domain(settings)
    base = [domain, _LOOPBACK]
    return [
        {"handle": [_strip_claims(), _hide_server()]},
        _only_websockets([f"*.{kind}.{domain}" for kind in ("workspace", "appui")], base),
        # Before the next line: a key may be named `_edge/x`.
        _s3_hosts_route(settings, domain),
        _route({"path": ["/_edge", "/_edge/*", "/_internal", "/_internal/*"]}, _status(404)),
        _spark_route(settings, base),
        _credentials_route(settings, "gateway", base, _GATEWAYS),
        _credentials_route(settings, "livy", base, _LIVYS),
        _s3_route(settings, base),
        _pages_route(settings, [*base, f"*.studio.{domain}"]),
        _asked_route(settings, "workspace", [f"*.workspace.{domain}"], _workspace_first(settings)),
        _asked_route(settings, "appui", [f"*.appui.{domain}"], _studio_paths(settings)),
        _route(None, _status(404)),
    ]


def _route(match: Json | list[Json] | None, *handlers: Json) -> Json:
    """A route that ends the search."""
    route: Json = {"handle": list(handlers), "terminal": True}
    if match is not None:
        route["match"] = match if isinstance(match, list) else [match]
    return route


def _strip_claims() -> Json:
    """Remove what only the edge itself may tell the control plane and the upstreams."""
    return {"handler": "headers", "request": {"delete": ["X-Emr-Studio-*", "X-Forwarded-*", "Forwarded", "X-Real-Ip"]}}


def _only_websockets(hosts: list[str], base: list[str]) -> Json:
    """Drop `Upgrade` everywhere but for websockets to `hosts`, and to kernel gateways on the base domain.

    An upstream that took another upgrade (`h2c`) would get a tunnel of which the edge sees nothing.
    """
    upgrade = {"Upgrade": {"pattern": "(?i)^websocket$"}}
    websocket = {"host": hosts, "header_regexp": upgrade}
    gateway = {"host": base, "path": _GATEWAYS, "header_regexp": upgrade}
    drop = {"handler": "headers", "request": {"delete": ["Upgrade", "Connection", "Http2-Settings"]}}
    return {"match": [{"not": [websocket, gateway]}], "handle": [drop]}


def _hide_server() -> Json:
    return {"handler": "headers", "response": {"deferred": True, "delete": ["Server", "Via"]}}


def _status(code: int | str, body: str = "") -> Json:
    return {
        "handler": "static_response",
        "status_code": code,
        "body": body,
        "headers": {"Cache-Control": ["no-store"], "Content-Type": ["text/plain; charset=utf-8"]},
    }


def _s3_hosts_route(settings: Settings, domain: str) -> Json:
    """`s3.<domain>` and `<bucket>.s3.<domain>` (a bucket's name may have dots): nothing but S3 is there."""
    host = {"pattern": rf"(?i)^([a-z0-9.-]+\.)?s3\.{re.escape(domain)}(:\d+)?$"}
    return _route({"header_regexp": {"Host": host}}, *_s3_handlers(settings))


def _s3_route(settings: Settings, hosts: list[str]) -> Json:
    """S3 on the base domain: what is signed for it, and what is unsigned but looks like a bucket's.

    Pages of ours are at `/`, at `/index.html`, below `/assets/` or below a name with an underscore in
    front, which no bucket's name has. Where no bucket is, the answer is the control plane's address.
    """
    signed = {"pattern": r"/s3/aws4_request"}
    bucket = {"pattern": r"^/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/|$)", "name": "s3_bucket"}
    ours: Json = {"path": ["/assets", "/assets/*", "/index.html"]}
    elsewhere = {"header_regexp": {"Authorization": {"pattern": "."}}}
    matches: list[Json] = [
        {"host": hosts, "header_regexp": {"Authorization": signed | {"name": "s3_header"}}},
        {
            "host": hosts,
            "vars_regexp": {"{http.request.uri.query.X-Amz-Credential}": signed | {"name": "s3_query"}},
        },
        {"host": hosts, "path_regexp": bucket, "not": [ours, elsewhere]},
    ]
    return _route(matches, _sandbox(), *_s3_handlers(settings))


def _s3_handlers(settings: Settings) -> list[Json]:
    # A cookie is the console's or somebody else's; an object store has no use for it.
    question, embedded = _question(settings, "s3", REPLACEABLE), _answered_upstream(drop=NOT_THE_STORES, name="store")
    # Half of what the store waits itself (120 s): a connection that it closes in that moment must not be used.
    embedded["transport"]["keep_alive"] = {"idle_timeout": "60s"}
    if not settings.s3_endpoint:
        return [question, embedded | {"handle_response": [_if_missing(settings)]}]
    # What goes there has a signature of ours; what comes to the control plane keeps the client's.
    outside = _answered_upstream(drop=("Cookie",), name="store")
    if settings.s3_endpoint.startswith("https:"):
        outside["transport"]["tls"] = {}
    ours = {"vars": {f"{{http.vars.{_UPSTREAM_VAR}}}": [_unix(settings.api_socket)]}}
    return [question, _subroute([_route(ours, embedded), _route(None, outside)])]


def _spark_route(settings: Settings, hosts: list[str]) -> Json:
    """Spark Connect: gRPC calls of one service, each asked about, then passed on to the session's own server."""
    calls: Json = {
        "host": hosts,
        "method": ["POST"],
        "path": [f"/{_SPARK_SERVICE}/*"],
        "header": {"Content-Type": ["application/grpc*"]},
    }
    server = _answered_upstream(name="spark")
    # Caddy flushes what streams by itself. Told to flush always, it would send the head of an answer that is only
    # a head on its own, and gRPC's clients then miss the status that stands in it.
    del server["flush_interval"]
    server["transport"] = {"protocol": "http", "versions": ["h2c"], "compression": False, "dial_timeout": "5s"}
    return _route(calls, _question(settings, "spark", _SPARK_REPLACEABLE), server)


def _credentials_route(settings: Settings, kind: str, hosts: list[str], paths: list[str]) -> Json:
    """Kernel gateways and Livys, for programs with credentials of a cluster; no answer is ever run as a page."""
    question = _question(settings, kind, ("Authorization", "Cookie"))
    return _route({"host": hosts, "path": paths}, _sandbox(), question, _answered_upstream(name=kind))


def _sandbox() -> Json:
    """Objects on the console's own origin are shown, but what they hold is never run there.

    `sandbox` gives such a page an origin of its own, without scripts, forms or pop-ups. Buckets have
    hosts of their own (`<bucket>.s3.<domain>`) where pages run as they are.
    """
    headers = {name: [value] for name, value in SANDBOX.items()}
    return {"handler": "headers", "response": {"deferred": True, "set": headers}}


def _pages_route(settings: Settings, hosts: list[str]) -> Json:
    console = Path(__file__).resolve().parents[1] / "console" / "static"
    routes = [_static("^/(assets/.+)$", console), *_to_control_plane(settings)]
    return _route({"host": hosts}, _subroute(routes))


def _asked_route(settings: Settings, kind: str, hosts: list[str], first: list[Json]) -> Json:
    asked = {
        "handle": [_question(settings, kind, ("Authorization", "Cookie")), _encode(), _answered_upstream(name=kind)]
    }
    return _route({"host": hosts}, _subroute([*first, asked]))


def _workspace_first(settings: Settings) -> list[Json]:
    share = settings.env_python("workspace").parents[1] / "share" / "jupyter"
    return [
        *_studio_paths(settings),
        _static("^/static/lab/(.+)$", share / "lab" / "static", strip="/static/lab", hashed=_HASHED_LAB),
        _static("^/lab/extensions/(.+)$", share / "labextensions", strip="/lab/extensions", hashed=_HASHED_LAB),
    ]


def _studio_paths(settings: Settings) -> list[Json]:
    return [{"match": [{"path": ["/_studio", "/_studio/*"]}], **_terminal(_to_control_plane(settings))}]


def _terminal(routes: list[Json]) -> Json:
    return {"handle": [_subroute(routes)], "terminal": True}


def _subroute(routes: list[Json]) -> Json:
    return {"handler": "subroute", "routes": routes}


# --- Handlers -----------------------------------------------------------------------------------


def _unix(path: Path) -> str:
    return f"unix/{path}"


def _to_control_plane(settings: Settings) -> list[Json]:
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": _unix(settings.api_socket)}],
        "load_balancing": _RETRY,
        "transport": _TRANSPORT,
    }
    # What is no method the control plane's parser refuses at the head and closes, while the body is still on its way:
    # the edge would see a broken connection and tell that the studio is away.
    strange = _route({"not": [{"method": list(_METHODS)}]}, _status(405))
    return [strange, {"handle": [{"handler": "request_body", "max_size": CONTROL_PLANE_MAX_BODY}, _encode(), proxy]}]


def _question(settings: Settings, kind: str, replaceable: tuple[str, ...]) -> Json:
    """Ask the control plane; go on where it says yes (2xx and an upstream), else hand its answer to the client."""
    said = {
        QUESTION: "1",
        "X-Emr-Studio-Upgrade": "{http.request.header.Upgrade}",
        "X-Emr-Studio-Content-Length": "{http.request.header.Content-Length}",
        "X-Emr-Studio-Tls": "{http.request.tls.version}",
        "X-Forwarded-Method": "{http.request.method}",
        "X-Forwarded-Uri": "{http.request.orig_uri}",
    }
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": _unix(settings.api_socket)}],
        "load_balancing": _RETRY,
        "transport": _TRANSPORT,
        "rewrite": {"method": "GET", "uri": f"/_edge/{kind}"},
        "headers": {
            "request": {
                "set": {name: [value] for name, value in said.items()},
                "delete": ["Upgrade", "Connection", "Expect", "Te", "Trailer"],
            }
        },
        "handle_response": [
            {"match": {"status_code": [2], "headers": {UPSTREAM: ["*"]}}, "routes": _take_answer(replaceable)}
        ],
    }


def _if_missing(settings: Settings) -> Json:
    """Of the store's 404 the control plane says what the client is told, where its first answer asked for that."""
    question = _question(settings, "s3-missing", ())
    # By now the token may have been taken away for the store.
    question["headers"]["request"]["set"]["X-Amz-Security-Token"] = [f"{{http.vars.{_TOKEN_VAR}}}"]
    asked = {"match": [{"vars": {f"{{http.vars.{_MISSING_VAR}}}": ["1"]}}], "handle": [question], "terminal": True}
    return {"match": {"status_code": [404]}, "routes": [asked, {"handle": [{"handler": "copy_response"}]}]}


def _answer(name: str) -> str:
    return f"{{http.reverse_proxy.header.{name}}}"


def _take_answer(replaceable: tuple[str, ...]) -> list[Json]:
    """The address; and, where the answer says that there are any, the changes to the request."""
    unchanged = {"vars": {_answer(CHANGES): [""]}}
    kept = {_UPSTREAM_VAR: _answer(UPSTREAM), _MISSING_VAR: _answer(MISSING)}
    return [
        {"handle": [{"handler": "vars", **kept, _TOKEN_VAR: "{http.request.header.X-Amz-Security-Token}"}]},
        {"match": [{"not": [unchanged]}], "handle": [_subroute(_changes(replaceable))]},
    ]


def _changes(replaceable: tuple[str, ...]) -> list[Json]:
    rewrite = {"handler": "rewrite", "uri": _answer(URI)}
    routes: list[Json] = []
    routes.append({"match": [{"not": [{"vars": {_answer(URI): [""]}}]}], "handle": [rewrite]})
    for name, source in [(IDENTITY, IDENTITY), *((name, REPLACE_PREFIX + name) for name in replaceable)]:
        unset, delete = {"vars": {_answer(source): [""]}}, {"vars": {_answer(source): [DELETE]}}
        routes += [
            {
                "match": [{"not": [unset, delete]}],
                "handle": [{"handler": "headers", "request": {"set": {name: [_answer(source)]}}}],
            },
            {"match": [delete], "handle": [{"handler": "headers", "request": {"delete": [name]}}]},
        ]
    return routes


def _answered_upstream(*, name: str, drop: tuple[str, ...] = ()) -> Json:
    """Pass the request, its body streamed, to the address of the answer."""
    proxy: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{{http.vars.{_UPSTREAM_VAR}}}"}],
        "transport": {"protocol": "http", "compression": False, "dial_timeout": "5s"},
    }
    if drop:
        proxy["headers"] = {"request": {"delete": list(drop)}}
    if name != "store":
        return proxy | {"flush_interval": -1}
    # The embedded store's own notes about an object: S3 has no such headers.
    proxy["headers"] = proxy.get("headers", {}) | {"response": {"delete": list(STORES_NOTES)}}
    return proxy


def _encode() -> Json:
    return {
        "handler": "encode",
        "encodings": {"zstd": {"level": "fastest"}, "gzip": {"level": 1}},
        "prefer": ["zstd", "gzip"],
    }


def _static(pattern: str, root: Path, *, strip: str = "", hashed: str = "") -> Json:
    """Files from disk without asking; a file that is not there is left to the next route.

    `pattern`'s first group is the file below `root`. `hashed`: the pattern of names that carry a
    hash of their content and so may be kept for ever; empty: all do. Others are asked for again
    with their ETag.
    """
    forever = _cache_control(_IMMUTABLE)
    keep = [_cache_control("no-cache"), forever | {"match": [{"path_regexp": {"pattern": hashed}}]}]
    serve = {
        "match": [{"file": {"root": str(root), "try_files": ["{http.regexp.static.1}"]}}],
        "handle": [
            _subroute(keep if hashed else [forever]),
            _encode(),
            {"handler": "rewrite", "strip_path_prefix": strip},
            {"handler": "file_server", "root": str(root), "canonical_uris": False} | PRECOMPRESSED,
        ],
    }
    # Nested, because the matchers of one set are tried in no certain order.
    match = {"path_regexp": {"name": "static", "pattern": pattern}}
    return {"match": [match], "handle": [_subroute([serve])]}


def _cache_control(value: str) -> Json:
    set_ = {"Cache-Control": [value], "X-Content-Type-Options": ["nosniff"]}
    return {"handle": [{"handler": "headers", "response": {"set": set_}}]}


def _error_routes() -> list[Json]:
    unreachable = {"vars": {"{http.error.status_code}": ["502", "503", "504"]}}
    retry = _status(503, NOT_AVAILABLE)
    retry["headers"]["Retry-After"] = ["1"]
    return [_route(unreachable, retry), _route(None, _status("{http.error.status_code}"))]
