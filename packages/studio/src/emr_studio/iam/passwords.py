"""Passwords: Argon2id, and what AWS asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from emr_studio.iam.errors import PasswordPolicyViolation

# OWASP's Argon2id profile (19 MiB, two passes): some 20 ms, so a burst of sign-ins cannot starve the API.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_SHORTEST, _LONGEST = 8, 128
_KINDS_NEEDED = 3
_SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")
"""What AWS counts as a symbol."""


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


def check_policy(password: str, policy: Mapping[str, Any] | None = None) -> None:
    """Check against an account's password policy; None is AWS's default: 8 to 128 characters, three kinds.

    Raises:
        PasswordPolicyViolation: if it is too weak.
    """
    shortest = int(policy["MinimumPasswordLength"]) if policy else _SHORTEST
    if not shortest <= len(password) <= _LONGEST:
        raise PasswordPolicyViolation(f"Password should have a minimum length of {shortest}")
    if policy is None:
        _check_default(password)
        return
    needed = {
        "RequireUppercaseCharacters": ("uppercase letter", any("A" <= letter <= "Z" for letter in password)),
        "RequireLowercaseCharacters": ("lowercase letter", any("a" <= letter <= "z" for letter in password)),
        "RequireNumbers": ("number", any("0" <= letter <= "9" for letter in password)),
        "RequireSymbols": ("symbol", any(letter in _SYMBOLS for letter in password)),
    }
    for member, (word, found) in needed.items():
        if policy.get(member) and not found:
            raise PasswordPolicyViolation(f"Password should have at least one {word}")


def _check_default(password: str) -> None:
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
