"""OpenID Connect ID tokens: what they say of themselves, and what they say once they are verified."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from emr_studio.iam.federation.errors import BadProof, ExpiredProof

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""No `none`, and none with a shared secret."""
# Providers add headers of their own; those that are critical are refused.
_REGISTRY = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
TAGS_CLAIM = "https://aws.amazon.com/tags"
SOURCE_CLAIM = "https://aws.amazon.com/source_identity"
_SKEW = 60
_NOT_A_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_BAD_SIGNATURE = "The signature of the ID Token could not be verified."


@dataclass(frozen=True)
class Peek:
    """What a token says before anybody believed it: enough to find who could vouch for it."""

    issuer: str
    key_id: str | None


@dataclass(frozen=True)
class Identity:
    """What a verified token says. `audience` is the client's id that was matched."""

    issuer: str
    subject: str
    audience: str
    audiences: list[str]
    expires: int
    claims: dict[str, Any]
    amr: list[str] = field(default_factory=list)
    tags: list[tuple[str, str]] = field(default_factory=list)
    transitive: list[str] = field(default_factory=list)
    source_identity: str | None = None


def peek(token: str) -> Peek:
    """Read a token without believing it.

    Raises:
        BadProof: it is no signed JWT, or of an algorithm that we do not take.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise BadProof(_NOT_A_JWT)
    header, claims = _decoded(parts[0]), _decoded(parts[1])
    issuer, key_id = claims.get("iss"), header.get("kid")
    if not isinstance(issuer, str) or not (key_id is None or isinstance(key_id, str)):
        raise BadProof(_NOT_A_JWT)
    if header.get("alg") not in ALGORITHMS:
        raise BadProof("The ID Token is signed with an algorithm that is not supported.")
    return Peek(issuer, key_id)


def _decoded(part: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, Any])
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise BadProof(_NOT_A_JWT) from None


def read_token(token: str, keys: KeySet, issuer: str, client_ids: Collection[str], now: dt.datetime) -> Identity:
    """Verify a token and read it.

    Raises:
        BadProof: not signed by one of `keys`, not of `issuer`, or not for one of the clients.
        ExpiredProof: its time is over.
    """
    claims = _verified(token, keys)
    if claims.get("iss") != issuer:
        raise BadProof("The ID Token is of another issuer.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
        raise BadProof("The ID Token has no subject.")
    expires = _check_times(claims, now)
    audiences = _strings(claims.get("aud"), "aud")
    tags, transitive = _tags(claims)
    source = claims.get(SOURCE_CLAIM)
    return Identity(
        issuer=issuer,
        subject=subject,
        audience=_audience(claims, audiences, client_ids),
        audiences=audiences,
        expires=expires,
        claims=claims,
        amr=_strings(claims.get("amr"), "amr"),
        tags=tags,
        transitive=transitive,
        source_identity=source if isinstance(source, str) else None,
    )


def _verified(token: str, keys: KeySet) -> dict[str, Any]:
    header = _decoded(token.partition(".")[0])
    key_id = header.get("kid")
    fitting = [key for key in keys.keys if key_id is None or key.kid is None or key.kid == key_id]
    for key in fitting:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = jwt.decode(token, key, registry=_REGISTRY)
        except (JoseError, ValueError, TypeError):
            continue
        claims: dict[str, Any] = dict(found.claims)
        return claims
    raise BadProof(_BAD_SIGNATURE)


def _check_times(claims: dict[str, Any], now: dt.datetime) -> int:
    seconds = now.timestamp()
    expires, before, issued = (_number(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise BadProof("The ID Token does not say when it expires.")
    if seconds >= expires:
        raise ExpiredProof(
            f"Token expired: current date/time {int(seconds)} must be before the expiration date/time {expires}"
        )
    if any(start is not None and start > seconds + _SKEW for start in (before, issued)):
        raise BadProof("The ID Token is not valid yet.")
    return expires


def _number(claims: dict[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e11:
        raise BadProof(f"The claim {name} is no time.")
    return int(value)


def _audience(claims: dict[str, Any], audiences: list[str], client_ids: Collection[str]) -> str:
    """`azp` where there is one, `aud` otherwise; it must be one of the provider's clients."""
    presenter = claims.get("azp")
    candidates = [presenter] if isinstance(presenter, str) and presenter else audiences
    for candidate in candidates:
        if candidate in client_ids:
            return candidate
    raise BadProof("Incorrect token audience")


def _strings(value: Any, name: str) -> list[str]:
    found = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise BadProof(f"The claim {name} is neither text nor a list of texts.")
    return found


def _tags(claims: dict[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """Session tags, nested in one claim, or flattened as some providers must."""
    given = claims.get(TAGS_CLAIM) or {}
    if not isinstance(given, dict):
        raise BadProof(f"The claim {TAGS_CLAIM} is no object.")
    principal = given.get("principal_tags") or _flattened(claims)
    transitive = given.get("transitive_tag_keys") or claims.get(f"{TAGS_CLAIM}/transitive_tag_keys")
    if not isinstance(principal, dict):
        raise BadProof(f"The claim {TAGS_CLAIM} has no object of principal tags.")
    tags = []
    for key, values in principal.items():
        texts = _strings(values, f"tag {key}")
        if len(texts) != 1:
            raise BadProof(f"The session tag {key} must have one value.")
        tags.append((key, texts[0]))
    return tags, _strings(transitive, "transitive_tag_keys")


def _flattened(claims: dict[str, Any]) -> dict[str, Any]:
    prefix = f"{TAGS_CLAIM}/principal_tags/"
    return {name.removeprefix(prefix): value for name, value in claims.items() if name.startswith(prefix)}
