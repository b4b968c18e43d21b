"""Identity tokens: how a Workspace learns who its user is.

The edge adds one (`X-Emr-Studio-Identity`) to every request that it passes to a Workspace or an
application UI: a JWT signed with Ed25519 (`EdDSA`) that names the Workspace it is for (`aud`), so a
Workspace cannot use what it receives at another. It lives 60 seconds. The private key never leaves
the control plane; a Workspace is launched with the public one.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from emr_studio.aws.context import Caller
from emr_studio.settings import Settings

ISSUER = "emr-studio"
LIFETIME = dt.timedelta(seconds=60)
_ALGORITHM = "EdDSA"


class IdentityError(Exception):
    """A token that is not ours, is for somebody else, or is no longer valid."""


class _EdDsa(JWSRegistry):
    """Takes the one algorithm we use, under the name that every JWT library knows.

    RFC 9864 renames it (`Ed25519`) and joserfc warns at each use of the old name; the key's curve is
    fixed here, so there is nothing to confuse.
    """

    def get_alg(self, name: str) -> Any:
        if name != _ALGORITHM:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


_REGISTRY = _EdDsa()


class IdentityIssuer:
    """Signs identity tokens with the installation's key, made at first use (mode 600)."""

    def __init__(self, settings: Settings) -> None:
        self._key = OKPKey.import_key(_private_key(settings.keys_dir / "edge.key"))

    @property
    def public_key_pem(self) -> str:
        """For `WorkspaceSpec.identity_public_key`."""
        return self._key.as_pem(private=False).decode()

    def issue(self, audience: str, caller: Caller, now: dt.datetime, *, session: str = "", source_ip: str = "") -> str:
        """A token that tells the Workspace (or cluster) `audience` that `caller` is asking.

        `session` (the hash of the session's cookie) and `source_ip` are for `read`, when the Workspace
        asks whether its user may still be there.
        """
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": audience,
            "sub": caller.user_id,
            "name": caller.user_name or caller.session_name or caller.user_id,
            "arn": caller.arn,
            "account": caller.account_id,
            "sid": session,
            "ip": source_ip,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key, registry=_REGISTRY)

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token of ours, for whatever Workspace, however old.

        Raises:
            IdentityError: it is not ours.
        """
        try:
            claims = jwt.decode(token, self._key, registry=_REGISTRY).claims
        except (JoseError, ValueError) as error:
            raise IdentityError(str(error)) from error
        if claims.get("iss") != ISSUER:
            raise IdentityError("not an identity token")
        return claims


def verify(token: str, public_key_pem: str, audience: str, now: dt.datetime) -> dict[str, Any]:
    """Return the claims of a token that is for `audience` and valid at `now`.

    Raises:
        IdentityError: if it is not.
    """
    key = OKPKey.import_key(public_key_pem)
    rules = jwt.JWTClaimsRegistry(
        now=lambda: int(now.timestamp()),
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    try:
        claims = jwt.decode(token, key, registry=_REGISTRY).claims
        rules.validate(claims)
    except (JoseError, ValueError) as error:
        raise IdentityError(str(error)) from error
    return claims


def _private_key(path: Path) -> str:
    """Read the key, or make it; of several processes that make it at once, one wins for all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text()
