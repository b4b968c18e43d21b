"""Links that sign in: made by OpenEditorInConsole, CreateStudioPresignedUrl and the application UIs', used once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from sqlalchemy import CursorResult, delete
from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.clock import Clock
from emr_studio.settings import Settings
from emr_studio.signin.model import PresignedToken, caller_facts, caller_of, hash_token, new_token
from emr_studio.signin.origins import Origin, host_of

LIFETIME = dt.timedelta(seconds=60)
OPEN_PATH = "/_studio/open"
STUDIO_PATH = "/_signin/presigned"


@dataclass(frozen=True)
class Link:
    """A link that was good, and is used up now. `caller` is who made it."""

    caller: Caller
    studio_id: str | None
    landing: str


@dataclass(frozen=True)
class _Place:
    """Where a link leads."""

    resource_id: str
    studio_id: str | None
    url: str
    path: str
    landing: str


class Presigned:
    """Implements `emr_studio.edge.presign.Presigner`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def presign_editor(
        self, session: Session, caller: Caller, editor_id: str, studio_id: str, default_notebook: str = ""
    ) -> tuple[str, dt.datetime]:
        """Link (and its expiry) that opens a Workspace as `caller`, at `default_notebook` if given."""
        landing = f"/lab/tree/{quote(default_notebook)}" if default_notebook else "/lab"
        place = _Place(editor_id, studio_id, self._settings.workspace_url(editor_id), OPEN_PATH, landing)
        return self._presign(session, caller, place)

    def presign_studio(self, session: Session, caller: Caller, studio_id: str) -> tuple[str, dt.datetime]:
        """Link (and its expiry) that opens a Studio as `caller`."""
        place = _Place(studio_id, studio_id, self._settings.studio_url(studio_id), STUDIO_PATH, "/")
        return self._presign(session, caller, place)

    def presign_app_ui(
        self, session: Session, caller: Caller, cluster_id: str, landing: str
    ) -> tuple[str, dt.datetime]:
        """Link (and its expiry) that opens an application UI of a cluster as `caller`, at the path `landing`."""
        place = _Place(cluster_id, None, self._settings.app_ui_url(cluster_id), OPEN_PATH, landing)
        return self._presign(session, caller, place)

    def _presign(self, session: Session, caller: Caller, place: _Place) -> tuple[str, dt.datetime]:
        token, now = new_token(), self._clock.now()
        session.execute(delete(PresignedToken).where(PresignedToken.expires < now))
        row = PresignedToken(
            token_hash=hash_token(token),
            origin=host_of(place.url),
            account_id=caller.account_id,
            caller=caller_facts(caller),
            studio_id=place.studio_id,
            resource_id=place.resource_id,
            landing=place.landing,
            expires=now + LIFETIME,
        )
        session.add(row)
        return f"{place.url}{place.path}?token={token}", row.expires

    def use(self, session: Session, origin: Origin, token: str) -> Link | None:
        """Use a link up (in a writing session); None if it is not for this origin, used or too old."""
        row = session.get(PresignedToken, hash_token(token))
        if row is None or row.origin != origin.host or row.expires <= self._clock.now():
            return None
        link = Link(caller_of(row.caller), row.studio_id, row.landing)
        statement = delete(PresignedToken).where(PresignedToken.token_hash == row.token_hash)
        session.expunge(row)
        # Of two who use it at once, one deletes the row.
        deleted = cast("CursorResult[Any]", session.execute(statement))
        return link if deleted.rowcount == 1 else None
