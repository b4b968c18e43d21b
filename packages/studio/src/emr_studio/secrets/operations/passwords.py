"""GetRandomPassword."""

from __future__ import annotations

import secrets as randoms
import string

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.secrets.errors import BadParameter

_LENGTH = 32
_KINDS = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


@operation("secretsmanager", "GetRandomPassword", checks=action("secretsmanager:GetRandomPassword"))
def get_random_password(_context: Context, request: Request) -> Response:
    """A password; by default of 32 characters, with one of each kind at least."""
    length = request.get("PasswordLength") or _LENGTH
    kinds = _kinds(request)
    each = request.get("RequireEachIncludedType")
    required = kinds if each is None or each else []
    if length < len(required):
        raise BadParameter("The password length is less than the number of required character types.")
    every = "".join(kinds)
    letters = [randoms.choice(kind) for kind in required]
    letters += [randoms.choice(every) for _ in range(length - len(letters))]
    randoms.SystemRandom().shuffle(letters)
    return {"RandomPassword": "".join(letters)}


def _kinds(request: Request) -> list[str]:
    excluded = set(request.get("ExcludeCharacters") or "")
    kinds = [letters for member, letters in _KINDS.items() if not request.get(member)]
    kinds += [" "] if request.get("IncludeSpace") else []
    left = ["".join(letter for letter in kind if letter not in excluded) for kind in kinds]
    if not any(left):
        raise BadParameter("All possible characters were excluded.")
    return [kind for kind in left if kind]
