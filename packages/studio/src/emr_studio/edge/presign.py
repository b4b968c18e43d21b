"""The port by which operations hand out links that sign in (implemented by `emr_studio.signin`)."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller


class Presigner(Protocol):
    """Makes single-use links, valid for 60 seconds and bound to the caller.

    All write a row in `session`, which the caller of this port commits.
    """

    def presign_editor(
        self, session: Session, caller: Caller, editor_id: str, studio_id: str, default_notebook: str = ""
    ) -> tuple[str, dt.datetime]:
        """Link (and its expiry) that opens a Workspace as `caller`, at `default_notebook` if given."""
        ...

    def presign_studio(self, session: Session, caller: Caller, studio_id: str) -> tuple[str, dt.datetime]:
        """Link (and its expiry) that opens a Studio as `caller`."""
        ...

    def presign_app_ui(
        self, session: Session, caller: Caller, cluster_id: str, landing: str
    ) -> tuple[str, dt.datetime]:
        """Link (and its expiry) that opens an application UI of a cluster as `caller`, at the path `landing`."""
        ...
