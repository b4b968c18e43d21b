"""Passwords: Argon2id, and AWS's default password policy."""

from __future__ import annotations

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from emr_studio.iam.errors import PasswordPolicyViolation

# OWASP's Argon2id profile (19 MiB, two passes): some 20 ms, so a burst of sign-ins cannot starve the API.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_SHORTEST, _LONGEST = 8, 128
_KINDS_NEEDED = 3


def hash_password(password: str) -> str:
    """Return the hash to keep."""
    return _hasher.hash(password)


def verify(password_hash: str | None, password: str) -> bool:
    """True if the password is right. Takes as long when there is no hash (unknown user)."""
    try:
        right = _hasher.verify(password_hash or _nobodys(), password)
    except (Argon2Error, InvalidHashError):
        return False
    return right and password_hash is not None


def check_policy(password: str) -> None:
    """AWS's default policy: 8 to 128 characters, three kinds of them.

    Raises:
        PasswordPolicyViolation: if it is too weak.
    """
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise PasswordPolicyViolation(f"Password should have a minimum length of {_SHORTEST}")
    kinds = (
        any(letter.isupper() for letter in password),
        any(letter.islower() for letter in password),
        any(letter.isdigit() for letter in password),
        any(not letter.isalnum() for letter in password),
    )
    if sum(kinds) < _KINDS_NEEDED:
        raise PasswordPolicyViolation(
            "Password should have at least three of: uppercase letters, lowercase letters, numbers, symbols"
        )


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher.hash("nobody's password")
