"""What git in a Workspace asks, through its credential helper: the credentials of a linked repository.

    POST /_workspace/git-credentials   Authorization: <the Workspace's token>   {"repository": name, "url": "https://host/path"}

They are read anew each time, by the Studio's service role, as GetSecretValue of Secrets Manager: so its
policies (emr-studio.md 8.4: secrets with the tag `for-use-with-amazon-emr-managed-policies=true`), KMS and the
trail have their say, and an edited or rotated secret is good at once. Only addresses of repositories that are
linked with that Workspace are answered, so that git sends the credentials nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AwsError
from emr_studio.aws.wire import WireRequest, WireResponse
from emr_studio.bodies import short_body
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.iam.services import assume_for_service
from emr_studio.network.model import EMR_MANAGED_TAG
from emr_studio.studios.service_role import SERVICE, SESSION_NAME
from emr_studio.workspaces.model import Editor, editor_arn
from emr_studio.workspaces.repositories.model import HELD, Repository, links_of
from emr_studio.workspaces.repositories.tokens import workspace_of

PATH = "/_workspace/git-credentials"
_MAX_BODY = 8192
_NO_STORE = {"Cache-Control": "no-store"}
Answer = Callable[[WireRequest, Caller], WireResponse]


class NotGiven(Exception):
    """HTTP status, and a sentence for the person at git."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class GitCredentials:
    """`answer` runs an operation for a caller (`AwsApplication.answer`)."""

    database: Database
    clock: Clock
    answer: Answer

    def routes(self) -> list[BaseRoute]:
        """The address above."""
        return [Route(PATH, self._ask, methods=["POST"])]

    async def _ask(self, request: Request) -> Response:
        body = await short_body(request, _MAX_BODY)
        if body is None:
            return _refusal(NotGiven(413, "That is too much to ask."))
        token = request.headers.get("authorization", "").strip()
        try:
            return JSONResponse(await run_in_threadpool(self.of, token, body), headers=_NO_STORE)
        except NotGiven as refused:
            return _refusal(refused)

    def of(self, token: str, body: bytes) -> dict[str, str]:
        """`{"username", "password"}` for the Workspace that has the token.

        Raises:
            NotGiven: 403 where they cannot be had, 404 where nothing is known of the address.
        """
        name, place = _asked(body)
        with self.database.read() as session:
            editor = workspace_of(session, token) if token else None
            if editor is None:
                raise NotGiven(403, "The Workspace's token is not valid.")
            found = next(
                (
                    repository
                    for link, repository in links_of(session, editor.id)
                    if link.status in HELD and (repository.name, _place(repository.url)) == (name, place)
                ),
                None,
            )
            if found is None or found.secret_arn is None:
                raise NotGiven(404, "No credentials are known for this address.")
            caller = self._service_role(session, editor)
        return _parsed(found.secret_arn, self._value(caller, found))

    def _service_role(self, session: Any, editor: Editor) -> Caller:
        role = editor.service_role_arn
        try:
            return assume_for_service(session, role, SERVICE, editor_arn(editor), SESSION_NAME, clock=self.clock)
        except AwsError as error:
            raise NotGiven(403, f"The Studio's service role {role} cannot be used: {error.message}") from error

    def _value(self, caller: Caller, repository: Repository) -> str:
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "secretsmanager.GetSecretValue",
            "user-agent": SERVICE,
        }
        body = json.dumps({"SecretId": repository.secret_arn}).encode()
        reply = self.answer(WireRequest("POST", "/", "", headers, body, SERVICE), caller)
        told = json.loads(reply.body)
        if reply.status != 200:
            said = told.get("message") or told.get("Message") or "Secrets Manager does not answer."
            raise NotGiven(
                403,
                f"The credentials of repository '{repository.name}' cannot be read by the Studio's service role: "
                f"{said} A secret for Git needs the tag {EMR_MANAGED_TAG}=true.",
            )
        return str(told.get("SecretString") or "")


def _asked(body: bytes) -> tuple[str, tuple[str, int, str]]:
    """The repository's name, and where git is about to send its credentials."""
    try:
        given = json.loads(body)
        return str(given["repository"]), _place(str(given["url"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotGiven(400, "Send a repository's name and a url.") from error


def _place(url: str) -> tuple[str, int, str]:
    """Host, port and path, in whatever way they are written."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or 443, parts.path.strip("/")
    except ValueError as error:
        raise NotGiven(400, "That is no address.") from error


def _parsed(arn: str, text: str) -> dict[str, str]:
    """Username and password of a secret's text; never the text itself in what is said of it."""
    try:
        values = json.loads(text)
        username, password = values["gitUsername"], values["gitPassword"]
        good = all(isinstance(value, str) and value and value.isprintable() for value in (username, password))
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise NotGiven(403, f'The secret {arn} must be JSON: {{"gitUsername": "…", "gitPassword": "…"}}.')
    return {"username": username, "password": password}


def _refusal(refused: NotGiven) -> Response:
    return JSONResponse({"message": str(refused)}, refused.status, _NO_STORE)
