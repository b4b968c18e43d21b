"""What a repository's name, address, branch and secret may be (emr-studio.md 8.2)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.secrets.finding import look_up

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LONGEST_URL = 2048
# What git refuses in a branch's name (`git check-ref-format`), and what could be taken for an option.
_BAD_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock(/|$)|^@$")
_LONGEST_BRANCH = 244
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+")


def check_name(name: str) -> None:
    """Refuse a name that is no folder's name everywhere.

    Raises:
        InvalidRequest
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "RepositoryName must have 1 to 128 characters, each of them a letter, a digit, a hyphen or an underscore."
        )


def check_url(url: str) -> None:
    """Refuse what cannot be cloned over HTTPS, or holds credentials that everybody would see.

    Raises:
        InvalidRequest
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    plain = len(url) <= _LONGEST_URL and url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme != "https" or not host or port == 0 or not parts.path.strip("/"):
        raise InvalidRequest("GitUrl must be a repository's HTTPS address, such as https://github.com/owner/name.git.")
    if "@" in parts.netloc:
        raise InvalidRequest("GitUrl must not hold a user or a password: give a secret's ARN as SecretArn.")
    if parts.query or parts.fragment:
        raise InvalidRequest("GitUrl must not have a query or a fragment.")


def check_branch(branch: str) -> None:
    """Refuse what cannot be a branch's name; whether it exists shows when the repository is linked.

    Raises:
        InvalidRequest
    """
    if not branch or len(branch) > _LONGEST_BRANCH or _BAD_BRANCH.search(branch):
        raise InvalidRequest(f"Branch '{branch[:_LONGEST_BRANCH]}' cannot be a Git branch's name.")


def check_secret(context: Context, arn: str) -> str | None:
    """The whole ARN of a secret of the account; None for an empty one, which says that there is none.

    What the secret holds is read by the Studio's service role, when the repository is linked.

    Raises:
        InvalidRequest: it is no ARN, or there is no such secret.
    """
    if not arn:
        return None
    found = look_up(context.session, context.account_id, context.region, arn) if _ARN.fullmatch(arn) else None
    if found is None or found.account_id != context.account_id or found.region != context.region:
        raise InvalidRequest(
            "SecretArn must be the ARN of a secret in AWS Secrets Manager, of this account and Region."
        )
    if found.deleted is not None:
        raise InvalidRequest(f"The secret {found.arn} is marked for deletion.")
    return found.arn
