"""Who may pass: IAM asked on behalf of a signed-in caller, anew at each use."""

from __future__ import annotations

import dataclasses

from sqlalchemy.orm import Session

from emr_studio.aws.context import Authorizer, Caller, Check, Context, RequestInfo
from emr_studio.aws.errors import AccessDenied
from emr_studio.clock import Clock
from emr_studio.clusters.model import Cluster, cluster_arn
from emr_studio.iam.errors import NoSuchEntity, RoleNotFound
from emr_studio.iam.services import caller_for_root, caller_for_user, resolve_role
from emr_studio.iam.subjects import find_subject
from emr_studio.settings import Settings
from emr_studio.signin.origins import Kind, Origin
from emr_studio.studios.model import Studio, entry_check
from emr_studio.tagging import resource_tag_context
from emr_studio.workspaces.model import Editor, editor_arn

SEE_LIVE = "elasticmapreduce:GetOnClusterAppUIPresignedURL"
SEE_HISTORY = "elasticmapreduce:GetPersistentAppUIPresignedURL"
UI_ACTIONS = (SEE_LIVE, SEE_HISTORY)
"""What gives links to a cluster's application UIs: the live ones and its history, or its history alone."""


class Access:
    """Questions about a caller, answered from the database as it is now."""

    def __init__(self, settings: Settings, clock: Clock, authorizer: Authorizer) -> None:
        self._settings = settings
        self._clock = clock
        self._authorizer = authorizer

    def refresh(self, session: Session, then: Caller) -> Caller | None:
        """The caller that signed in, as he is now; None if he is gone.

        A user of the same name who was made later is another user. What narrowed the credentials
        that signed in (session policies, temporary credentials) goes on to narrow.
        """
        try:
            now = _now(session, then)
        except (NoSuchEntity, RoleNotFound):
            return None
        if now.user_id != then.user_id:
            return None
        return dataclasses.replace(
            now,
            console=True,
            access_key_id=None,
            token_issued_at=then.token_issued_at,
            session_policies=then.session_policies,
            source_identity=then.source_identity,
            mfa_at=then.mfa_at,
        )

    def may_enter(self, session: Session, caller: Caller, origin: Origin, source_ip: str) -> bool:
        """May the caller be at this origin at all? The console is open to every identity.

        A Studio asks for `CreateStudioPresignedUrl` on it (emr-studio.md 2.4), a Workspace for
        `OpenEditorInConsole`, a cluster's application UIs for one of the actions that give links there.
        """
        if origin.kind == Kind.CONSOLE:
            return True
        if origin.kind == Kind.APP_UI:
            return any(self.may_see(session, caller, origin, source_ip, action) for action in UI_ACTIONS)
        check = self._entry_check(session, caller, origin)
        return check is not None and self.allows(session, caller, check, origin, source_ip)

    def is_shut_out(
        self, session: Session, caller: Caller, studio_id: str | None, origin: Origin, source_ip: str
    ) -> bool:
        """Does IAM keep the caller, who is at `origin`, out of this Studio? Nobody is kept out of one that is gone."""
        studio = session.get(Studio, studio_id) if studio_id else None
        if studio is None:
            return False
        return not self.allows(session, caller, entry_check(studio), origin, source_ip)

    def _entry_check(self, session: Session, caller: Caller, origin: Origin) -> Check | None:
        if origin.kind == Kind.STUDIO:
            studio = session.get(Studio, origin.resource_id)
            if studio is None or studio.account_id != caller.account_id:
                return None
            return entry_check(studio)
        if origin.kind == Kind.WORKSPACE:
            editor = session.get(Editor, origin.resource_id)
            if editor is None or editor.account_id != caller.account_id:
                return None
            tags = resource_tag_context(editor.tags)
            return Check("elasticmapreduce:OpenEditorInConsole", editor_arn(editor), tags)
        return None

    def may_see(self, session: Session, caller: Caller, origin: Origin, source_ip: str, action: str) -> bool:
        """May the caller do `action` (one of `UI_ACTIONS`) on the cluster whose application UIs are at this origin?"""
        cluster = session.get(Cluster, origin.resource_id)
        if cluster is None or cluster.account_id != caller.account_id:
            return False
        check = Check(action, cluster_arn(cluster), resource_tag_context(cluster.tags))
        return self.allows(session, caller, check, origin, source_ip)

    def allows(self, session: Session, caller: Caller, check: Check, origin: Origin, source_ip: str) -> bool:
        """Would IAM let the caller do this from a page of `origin`? A question, not an attempt: nothing is recorded."""
        context = Context(
            caller=caller,
            region=self._settings.region,
            session=session,
            clock=self._clock,
            request_id="",
            request=RequestInfo(source_ip=source_ip, secure=origin.scheme == "https", host=origin.host),
            authorizer=self._authorizer,
        )
        try:
            context.authorize(check)
        except AccessDenied:
            return False
        return True


def _now(session: Session, then: Caller) -> Caller:
    if then.kind == "user" and then.user_name is not None:
        return caller_for_user(session, then.account_id, then.user_name)
    if then.kind == "root":
        return caller_for_root(session, then.account_id)
    if then.federating_user is not None and find_subject(session, then.account_id, then.federating_user) is None:
        raise NoSuchEntity(f"The user of {then.arn} cannot be found.")
    # A role's session keeps the tags that it began with.
    if then.role_name is not None:
        resolve_role(session, then.account_id, then.principal_arn)
    return then
