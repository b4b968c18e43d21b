"""The credential report: one line of CSV a user, with AWS's columns."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam import password_policy, uses
from emr_studio.iam.model import AccessKey, LoginProfile, MfaDevice, Task, User, UserCredential
from emr_studio.iam.operations import common

_KIND = "credentials"
_FRESH = dt.timedelta(hours=4)
_COLUMNS = (
    *("user", "arn", "user_creation_time"),
    *("password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active"),
    *(
        f"access_key_{number}_{what}"
        for number in (1, 2)
        for what in ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
    ),
    *(f"cert_{number}_{what}" for number in (1, 2) for what in ("active", "last_rotated")),
)
_NONE, _NO_INFORMATION, _NOT_SUPPORTED = "N/A", "no_information", "not_supported"


def _time(moment: dt.datetime | None, otherwise: str = _NONE) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds") if moment else otherwise


def _flag(value: object) -> str:
    return "true" if value else "false"


def _password(context: Context, owner_id: str, last_used: dt.datetime | None) -> list[str]:
    profile = context.session.get(LoginProfile, owner_id)
    if profile is None:
        return ["false", _NONE, _NONE, _NONE]
    changed = _time(password_policy.changed_at(context.session, profile))
    next_rotation = _time(password_policy.expires_at(context.session, context.account_id, profile))
    return ["true", _time(last_used, _NO_INFORMATION), changed, next_rotation]


def _keys(context: Context, user_id: str | None) -> list[str]:
    query = select(AccessKey).where(AccessKey.account_id == context.account_id, AccessKey.user_id == user_id)
    cells: list[str] = []
    for key in context.session.scalars(query.order_by(AccessKey.created_at, AccessKey.id).limit(2)):
        use = uses.last_use(context.session, key.id)
        used = (_time(use.used_at), use.region, use.service) if use else (_NONE, _NONE, _NONE)
        cells += [_flag(key.status == "Active"), _time(key.created_at), *used]
    return cells + ["false", _NONE, _NONE, _NONE, _NONE] * ((10 - len(cells)) // 5)


def _certificates(context: Context, user_id: str) -> list[str]:
    query = select(UserCredential).where(UserCredential.user_id == user_id, UserCredential.kind == "certificate")
    cells: list[str] = []
    for one in context.session.scalars(query.order_by(UserCredential.created_at).limit(2)):
        cells += [_flag(one.status == "Active"), _time(one.created_at)]
    return cells + ["false", _NONE] * ((4 - len(cells)) // 2)


def _rows(context: Context) -> Iterator[list[str]]:
    account = common.account_of(context)
    root = f"arn:{account.partition}:iam::{account.account_id}:root"
    of_root = _password(context, account.account_id, None)
    # Of root's password AWS tells only when it was used.
    of_root = [_NOT_SUPPORTED, of_root[1], _NOT_SUPPORTED, _NOT_SUPPORTED]
    root_row = ["<root_account>", root, _time(account.created_at), *of_root, "false"]
    yield [*root_row, *_keys(context, None), *_certificates(context, account.account_id)]
    has_mfa = set(context.session.scalars(select(MfaDevice.user_id).where(MfaDevice.account_id == account.account_id)))
    for user in context.session.scalars(
        select(User).where(User.account_id == account.account_id).order_by(User.name_key)
    ):
        row = [user.name, user.arn, _time(user.created_at), *_password(context, user.id, user.password_last_used)]
        yield [*row, _flag(user.id in has_mfa), *_keys(context, user.id), *_certificates(context, user.id)]


def _csv(context: Context) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_rows(context))
    return text.getvalue()


def _report_id(context: Context) -> str:
    return f"{_KIND}/{context.account_id}"


@operation("iam", "GenerateCredentialReport", checks=action("iam:GenerateCredentialReport"))
def generate_credential_report(context: Context, _request: Request) -> Response:
    """A report is made at once and is good for four hours, as AWS's."""
    now = context.now()
    report = context.session.get(Task, _report_id(context))
    if report is not None and now - report.created_at < _FRESH:
        return {"State": "COMPLETE"}
    if report is None:
        report = Task(id=_report_id(context), account_id=context.account_id, kind=_KIND, created_at=now, facts={})
        context.session.add(report)
    report.created_at, report.facts = now, {"content": _csv(context)}
    return {"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}


@operation("iam", "GetCredentialReport", checks=action("iam:GetCredentialReport"))
def get_credential_report(context: Context, _request: Request) -> Response:
    report = context.session.get(Task, _report_id(context))
    if report is None:
        raise ClientError(
            "ReportNotPresent",
            "The credential report does not exist. Generate one with GenerateCredentialReport.",
            410,
        )
    if context.now() - report.created_at >= _FRESH:
        raise ClientError("ReportExpired", "The credential report has expired. Generate a new one.", 410)
    content = str(report.facts["content"]).encode()
    return {"Content": content, "ReportFormat": "text/csv", "GeneratedTime": report.created_at}
