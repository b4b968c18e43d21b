"""Sign-in over real IAM and a real database, with browsers that keep cookies as browsers do.

with signin_rig(folder) as rig:
    analyst = rig.person("analyst", statement("elasticmapreduce:*"))
    browser = rig.browser(rig.studio_host)
    browser.sign_in("analyst")
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.datastructures import Headers

from emr_studio.aws.context import Caller
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.iam import writing
from emr_studio.iam.identity import IamAuthorizer
from emr_studio.loopback import certificates
from emr_studio.signin.presence import Presence
from emr_studio.signin.setup import Front, compose
from emr_studio.workspaces.model import Editor
from tests.support.api_server import serve
from tests.support.emr_world import ACCOUNT, World, emr_world

PASSWORD = "Correct-horse-7"


@dataclass
class Browser:
    """One browser at one origin; its cookies go to no other, as `__Host-` promises."""

    rig: SignInRig
    host: str
    cookies: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Host": self.host, "Origin": f"http://{self.host}"} | dict(arguments.pop("headers", {}))
        if self.cookies:
            headers.setdefault("Cookie", self.cookie_header)
        reply = self.rig.client.request(method, path, headers=headers, **arguments)
        for line in reply.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
            if "Max-Age=0" in line:
                del self.cookies[name]
        return reply

    @property
    def cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def sign_in(self, user_name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return self.request("POST", "/_signin", json={"userName": user_name, "password": password} | more)

    def api(self, **headers: str) -> Caller | None:
        """What the AWS API is told about a request of this page."""
        sent = Headers({"Host": self.host, "Cookie": self.cookie_header} | headers)
        with self.rig.world.database.read() as session:
            return self.rig.front.sessions.authenticate(session, sent)

    def ask(
        self, uri: str = "/api/status", method: str = "GET", *, upgrade: bool = False, **headers: str
    ) -> EdgeAnswer:
        """What the edge is told about a request to this Workspace."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = Headers({"Cookie": self.cookie_header} | named)
        return self.rig.front.workspace_edge(EdgeRequest(method, uri, self.host, sent, "127.0.0.1", upgrade))


@dataclass
class SignInRig:
    """A world with one Studio and one Workspace in it that runs at a socket."""

    world: World
    front: Front
    client: httpx.Client
    studio_id: str
    editor_id: str
    address: str

    @property
    def console_host(self) -> str:
        return self.world.settings.host_port

    @property
    def studio_host(self) -> str:
        return self.host_of_studio(self.studio_id)

    def host_of_studio(self, studio_id: str) -> str:
        return self.world.settings.studio_url(studio_id).removeprefix("http://")

    def host_of_editor(self, editor_id: str) -> str:
        return self.world.settings.workspace_url(editor_id).removeprefix("http://")

    def browser(self, host: str) -> Browser:
        return Browser(self, host)

    def person(self, name: str, *statements: Mapping[str, Any], account_id: str = ACCOUNT) -> Caller:
        """A user with a password and these statements (none: may do everything)."""
        caller = self.world.user(name, *statements, account_id=account_id)
        with self.world.database.write() as session:
            writing.set_password(session, caller.user_id, PASSWORD, self.world.clock.now())
        return caller

    def change_policy(self, caller: Caller, *statements: Mapping[str, Any]) -> None:
        """Let the user do this and nothing else from now on."""
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        with self.world.database.write() as session:
            writing.put_inline(session, caller.account_id, caller.user_id, "own", document)

    def open_url(self, caller: Caller, editor_id: str = "", notebook: str = "My book.ipynb") -> tuple[str, str]:
        """Host and path of a fresh link to a Workspace."""
        with self.world.database.write() as session:
            url, _ = self.front.presigned.presign_editor(
                session, caller, editor_id or self.editor_id, self.studio_id, notebook
            )
        host, _, path = url.removeprefix("http://").partition("/")
        return host, f"/{path}"

    def opened(self, caller: Caller, editor_id: str = "") -> Browser:
        """A browser that has followed such a link."""
        host, path = self.open_url(caller, editor_id)
        browser = self.browser(host)
        reply = browser.request("GET", path)
        assert reply.status_code == 302, reply.text
        return browser

    def editor(self, **columns: Any) -> str:
        """A Workspace that runs, unless said otherwise."""
        editor_id = str(self.world.call("CreateEditor", StudioId=self.studio_id, Name="book")["EditorId"])
        self.set_editor(editor_id, **({"status": "Ready", "address": self.address} | columns))
        return editor_id

    def set_editor(self, editor_id: str, **columns: Any) -> None:
        with self.world.database.write() as session:
            editor = session.get_one(Editor, editor_id)
            for column, value in columns.items():
                setattr(editor, column, value)


@contextmanager
def signin_rig(folder: Path, address: str = "unix//run/nowhere/s.sock", port: int = 8080) -> Iterator[SignInRig]:
    """Make the rig in `folder`."""
    with emr_world(folder, port) as world:
        front = compose(world.settings, world.database, world.clock, IamAuthorizer())
        presence = Presence(world.settings, world.database, world.clock, front.sessions, front.issuer)
        app = Starlette(routes=[*front.sign_in.routes(), *presence.routes()])
        with serve(app) as url, httpx.Client(base_url=url, timeout=90, verify=certificates()) as client:
            rig = SignInRig(world, front, client, world.studio(), "", address)
            rig.editor_id = rig.editor()
            yield rig
        front.sessions.close()
