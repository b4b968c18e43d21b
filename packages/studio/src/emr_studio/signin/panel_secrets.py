"""A new secret from the panel "Git repositories": its name, form and tags are not the page's to choose.

The tags are those that AWS's policies go by (emr-studio.md 8.4): for the Studio's service role, and for the
user who made it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from emr_studio.network.model import EMR_MANAGED_TAG

PREFIX = "emr-studio-"
USER_TAG = "for-use-with-amazon-emr-managed-user-policies"
TOKEN_USER = "x-access-token"
"""The user's name where there is a token alone: GitHub, GitLab and Bitbucket know whose it is by itself."""
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,200}")
_LONGEST = 4096


def new_secret(body: bytes, user_id: str) -> dict[str, Any]:
    """CreateSecret's input for `{"Name", "Username", "Password"}`; `Username` may be empty for a token.

    Raises:
        ValueError: with what is wrong, for a person.
    """
    try:
        given = json.loads(body)
        name, username, password = (given.get(member, "") for member in ("Name", "Username", "Password"))
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError("The input is not a JSON object.") from error
    if not isinstance(name, str) or not _NAME.fullmatch(name.removeprefix(PREFIX)):
        raise ValueError("A secret's name has letters, digits and / _ + = . @ - only.")
    for text in (username, password):
        if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable():
            raise ValueError("A user name or password is too long, or has characters that no Git server takes.")
    if not password:
        raise ValueError("Give a password or a token.")
    return {
        "Name": PREFIX + name.removeprefix(PREFIX),
        "Description": "Credentials of a Git repository",
        "SecretString": json.dumps({"gitUsername": username or TOKEN_USER, "gitPassword": password}),
        "Tags": [{"Key": EMR_MANAGED_TAG, "Value": "true"}, {"Key": USER_TAG, "Value": user_id}],
    }
