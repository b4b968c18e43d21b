"""Users' other credentials: SSH public keys, signing certificates, service-specific credentials.

IAM keeps the books of them, as stock tools expect; nothing here is opened with one.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import secrets
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from sqlalchemy import select

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam.errors import LimitExceeded, NoSuchEntity
from emr_studio.iam.model import User, UserCredential
from emr_studio.iam.operations import common
from emr_studio.iam.operations.server_certificates import read_certificate
from emr_studio.iam.operations.users import named_user, the_user


class _Kind(NamedTuple):
    """One kind of credential. `quota` is per user (of service credentials: per user and service)."""

    name: str
    member: str
    things: str
    quota: int
    missing: str


_SSH = _Kind("ssh", "SSHPublicKeyId", "SSHPublicKeysPerUser", 5, "The Public Key with id {} cannot be found.")
_CERTIFICATE = _Kind(
    "certificate", "CertificateId", "CertificatesPerUser", 2, "The Certificate with id {} cannot be found."
)
_SERVICE = _Kind(
    "service",
    "ServiceSpecificCredentialId",
    "ServiceSpecificCredentialsPerUser",
    2,
    "No such credential {} exists",
)
_SERVICES = {
    "bedrock.amazonaws.com": "BedrockAPIKey",
    "cassandra.amazonaws.com": "",
    "codecommit.amazonaws.com": "",
}
"""Services with such credentials, and what the names of those begin with that have an alias."""
_WEAKEST_BITS = 2048


def _of_user(context: Context, kind: _Kind, user: User) -> list[UserCredential]:
    query = select(UserCredential).where(UserCredential.user_id == user.id, UserCredential.kind == kind.name)
    return list(context.session.scalars(query.order_by(UserCredential.created_at, UserCredential.id)))


def _the(context: Context, request: Request, kind: _Kind) -> tuple[User, UserCredential]:
    user = the_user(context, request)
    given = str(request[kind.member])
    found = context.session.get(UserCredential, given)
    if found is None or (found.user_id, found.kind) != (user.id, kind.name):
        raise NoSuchEntity(kind.missing.format(given))
    return user, found


def _add(context: Context, kind: _Kind, user: User, key: str, facts: dict[str, Any]) -> UserCredential:
    made = UserCredential(
        id=key,
        account_id=context.account_id,
        user_id=user.id,
        kind=kind.name,
        status="Active",
        created_at=context.now(),
        facts=facts,
    )
    context.session.add(made)
    return made


def _others(context: Context, kind: _Kind, user: User) -> list[UserCredential]:
    """Those that a new one comes to; nobody else adds one meanwhile."""
    common.one_at_a_time(context)
    return _of_user(context, kind, user)


def _check_quota(kind: _Kind, others: list[UserCredential]) -> None:
    if len(others) >= kind.quota:
        raise LimitExceeded(f"Cannot exceed quota for {kind.things}: {kind.quota}")


def _register_common(kind: _Kind, word: str) -> None:
    """Update (of the status) and Delete, alike for all kinds."""

    @operation("iam", f"Update{word}", checks=common.entity_checks(f"Update{word}", "user", named_user))
    def update(context: Context, request: Request) -> Response:
        _, found = _the(context, request, kind)
        if request["Status"] == "Expired":
            raise common.validation_error("Status can be set to Active or Inactive.")
        found.status = str(request["Status"])
        return None

    @operation("iam", f"Delete{word}", checks=common.entity_checks(f"Delete{word}", "user", named_user))
    def delete(context: Context, request: Request) -> Response:
        context.session.delete(_the(context, request, kind)[1])
        return None


_register_common(_SSH, "SSHPublicKey")
_register_common(_CERTIFICATE, "SigningCertificate")
_register_common(_SERVICE, "ServiceSpecificCredential")


# SSH public keys


def _ssh_key(body: str) -> RSAPublicKey:
    """Raises InvalidPublicKey or UnrecognizedPublicKeyEncoding."""
    data = body.strip().encode()
    try:
        ssh = data.startswith(b"ssh-")
        key = serialization.load_ssh_public_key(data) if ssh else serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise ClientError("UnrecognizedPublicKeyEncoding", "Unable to parse the public key.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _WEAKEST_BITS:
        raise ClientError("InvalidPublicKey", f"The public key must be of RSA with at least {_WEAKEST_BITS} bits.")
    return key


def _as_ssh(key: RSAPublicKey) -> str:
    form = serialization.PublicFormat.OpenSSH
    return key.public_bytes(serialization.Encoding.OpenSSH, form).decode()


def _as_pem(key: RSAPublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def _fingerprint(key: RSAPublicKey) -> str:
    """The MD5 form that IAM shows, as `ssh-keygen -l -E md5` does."""
    blob = base64.b64decode(_as_ssh(key).split()[1])
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _ssh_shape(user: User, found: UserCredential, body: str) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "SSHPublicKeyId": found.id,
        "Fingerprint": found.facts["fingerprint"],
        "SSHPublicKeyBody": body,
        "Status": found.status,
        "UploadDate": found.created_at,
    }


@operation("iam", "UploadSSHPublicKey", checks=common.entity_checks("UploadSSHPublicKey", "user", named_user))
def upload_ssh_public_key(context: Context, request: Request) -> Response:
    user, body = the_user(context, request), str(request["SSHPublicKeyBody"])
    fingerprint = _fingerprint(_ssh_key(body))
    others = _others(context, _SSH, user)
    if any(other.facts["fingerprint"] == fingerprint for other in others):
        raise ClientError("DuplicateSSHPublicKey", "The SSH public key is already associated with this user.")
    _check_quota(_SSH, others)
    made = _add(context, _SSH, user, ids.iam_id("APKA"), {"body": body, "fingerprint": fingerprint})
    return {"SSHPublicKey": _ssh_shape(user, made, body)}


@operation("iam", "GetSSHPublicKey", checks=common.entity_checks("GetSSHPublicKey", "user", named_user))
def get_ssh_public_key(context: Context, request: Request) -> Response:
    user, found = _the(context, request, _SSH)
    body = str(found.facts["body"])
    in_ssh = body.strip().startswith("ssh-")
    if in_ssh != (request["Encoding"] == "SSH"):
        body = _as_pem(_ssh_key(body)) if in_ssh else _as_ssh(_ssh_key(body))
    return {"SSHPublicKey": _ssh_shape(user, found, body)}


@operation("iam", "ListSSHPublicKeys", checks=common.entity_checks("ListSSHPublicKeys", "user", named_user))
def list_ssh_public_keys(context: Context, request: Request) -> Response:
    user = the_user(context, request)
    shapes = [
        {"UserName": user.name, "SSHPublicKeyId": one.id, "Status": one.status, "UploadDate": one.created_at}
        for one in _of_user(context, _SSH, user)
    ]
    return common.page(context, request, "ListSSHPublicKeys", shapes, "SSHPublicKeys")


# Signing certificates


def _certificate_shape(user: User, found: UserCredential) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "CertificateId": found.id,
        "CertificateBody": found.facts["body"],
        "Status": found.status,
        "UploadDate": found.created_at,
    }


@operation(
    "iam", "UploadSigningCertificate", checks=common.entity_checks("UploadSigningCertificate", "user", named_user)
)
def upload_signing_certificate(context: Context, request: Request) -> Response:
    user, body = the_user(context, request), str(request["CertificateBody"])
    digest = hashlib.sha256(read_certificate(body).tbs_certificate_bytes).hexdigest()
    others = _others(context, _CERTIFICATE, user)
    if any(other.facts["digest"] == digest for other in others):
        raise ClientError("DuplicateCertificate", "The certificate is already associated with this user.", 409)
    _check_quota(_CERTIFICATE, others)
    made = _add(context, _CERTIFICATE, user, ids.iam_id("") + ids.iam_id("")[:15], {"body": body, "digest": digest})
    return {"Certificate": _certificate_shape(user, made)}


@operation("iam", "ListSigningCertificates", checks=common.entity_checks("ListSigningCertificates", "user", named_user))
def list_signing_certificates(context: Context, request: Request) -> Response:
    user = the_user(context, request)
    shapes = [_certificate_shape(user, one) for one in _of_user(context, _CERTIFICATE, user)]
    return common.page(context, request, "ListSigningCertificates", shapes, "Certificates")


# Service-specific credentials


def _check_service(name: str) -> str:
    if name not in _SERVICES:
        raise ClientError("NotSupportedService", f"{name} is not supported", 404)
    return name


def _service_shape(user: User, found: UserCredential) -> dict[str, Any]:
    facts = found.facts
    shape = {
        "UserName": user.name,
        "ServiceName": facts["service"],
        "ServiceSpecificCredentialId": found.id,
        "Status": found.status,
        "CreateDate": found.created_at,
        facts["member"]: facts["user_name"],
    }
    if facts.get("expires"):
        shape["ExpirationDate"] = dt.datetime.fromisoformat(facts["expires"])
    return shape


def _with_secret(shape: dict[str, Any]) -> Response:
    """The password is shown now and never again; as nothing asks for it, not even its hash is kept."""
    member = "ServicePassword" if "ServiceUserName" in shape else "ServiceCredentialSecret"
    secret = base64.b64encode(secrets.token_bytes(33)).decode()
    return {"ServiceSpecificCredential": shape | {member: secret}}


@operation(
    "iam",
    "CreateServiceSpecificCredential",
    checks=common.entity_checks("CreateServiceSpecificCredential", "user", named_user),
)
def create_service_specific_credential(context: Context, request: Request) -> Response:
    user, service = the_user(context, request), _check_service(str(request["ServiceName"]))
    others = [one for one in _others(context, _SERVICE, user) if one.facts["service"] == service]
    _check_quota(_SERVICE, others)
    # As AWS's: the second one of a user is numbered.
    taken = {one.facts["user_name"] for one in others}
    names = (f"{_SERVICES[service]}{user.name}{number}-at-{context.account_id}" for number in ("", "+1", "+2"))
    facts: dict[str, Any] = {
        "service": service,
        "member": "ServiceCredentialAlias" if _SERVICES[service] else "ServiceUserName",
        "user_name": next(name for name in names if name not in taken),
    }
    if days := request.get("CredentialAgeDays"):
        facts["expires"] = (context.now() + dt.timedelta(days=int(days))).isoformat()
    return _with_secret(_service_shape(user, _add(context, _SERVICE, user, ids.iam_id("ACCA"), facts)))


def _whose(context: Context, request: Request) -> User | str:
    return "*" if request.get("AllUsers") else named_user(context, request)


@operation(
    "iam",
    "ListServiceSpecificCredentials",
    checks=common.entity_checks("ListServiceSpecificCredentials", "user", _whose),
)
def list_service_specific_credentials(context: Context, request: Request) -> Response:
    service = request.get("ServiceName")
    if service:
        _check_service(str(service))
    users = _all_users(context) if request.get("AllUsers") else [the_user(context, request)]
    shapes = [
        _service_shape(user, one)
        for user in users
        for one in _of_user(context, _SERVICE, user)
        if service in (None, one.facts["service"])
    ]
    return common.page(context, request, "ListServiceSpecificCredentials", shapes, "ServiceSpecificCredentials")


def _all_users(context: Context) -> list[User]:
    """Those that have such credentials."""
    owners = select(UserCredential.user_id).where(UserCredential.kind == _SERVICE.name)
    query = select(User).where(User.account_id == context.account_id, User.id.in_(owners))
    return list(context.session.scalars(query.order_by(User.name_key)))


@operation(
    "iam",
    "ResetServiceSpecificCredential",
    checks=common.entity_checks("ResetServiceSpecificCredential", "user", named_user),
)
def reset_service_specific_credential(context: Context, request: Request) -> Response:
    return _with_secret(_service_shape(*_the(context, request, _SERVICE)))
