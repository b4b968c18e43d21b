"""Server certificates: AWS's books of them. Nothing here is served with one."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam import entities
from emr_studio.iam.errors import EntityAlreadyExists, NoSuchEntity
from emr_studio.iam.model import ServerCertificate, entity_values
from emr_studio.iam.operations import common, tags

QUOTA = 20
_KIND = "server-certificate"
_WORD = "ServerCertificate"


def named_certificate(context: Context, request: Request) -> ServerCertificate | str:
    """The certificate that a request names; the name if there is none."""
    name = str(request["ServerCertificateName"])
    return entities.find_by_name(context.session, ServerCertificate, context.account_id, name) or name


def the_certificate(context: Context, request: Request) -> ServerCertificate:
    """Raises NoSuchEntity."""
    found = named_certificate(context, request)
    if isinstance(found, str):
        raise NoSuchEntity(f"The Server Certificate with name {found} cannot be found.")
    return found


def read_certificate(pem: str) -> x509.Certificate:
    """Raises MalformedCertificate."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ClientError(
            "MalformedCertificate", "Unable to parse certificate. Please ensure it is in PEM format."
        ) from (None)


def _check_chain(chain: Any) -> str | None:
    if not chain:
        return None
    try:
        x509.load_pem_x509_certificates(str(chain).encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ClientError("MalformedCertificate", "Unable to parse certificate chain.") from None
    return str(chain).strip()


def _check_key(certificate: x509.Certificate, pem: str) -> None:
    """The key is looked at and thrown away.

    Raises:
        ClientError: it cannot be read, or is another certificate's.
    """
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ClientError("MalformedCertificate", "Unable to parse private key: it must be PEM, unencrypted.") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ClientError("KeyPairMismatch", "The public key certificate and the private key do not match.")


def _metadata(certificate: ServerCertificate) -> dict[str, Any]:
    made = common.base_shape(certificate, _WORD)
    made["UploadDate"] = made.pop("CreateDate")
    return made | {"Expiration": certificate.expires_at}


def _with_tags(shape: dict[str, Any], certificate: ServerCertificate) -> dict[str, Any]:
    return shape | ({"Tags": common.tag_list(certificate.tags)} if certificate.tags else {})


@operation(
    "iam",
    "UploadServerCertificate",
    checks=common.entity_checks("UploadServerCertificate", _KIND, named_certificate, tags=True),
)
def upload_server_certificate(context: Context, request: Request) -> Response:
    name, body = str(request["ServerCertificateName"]), str(request["CertificateBody"])
    if entities.name_is_taken(context.session, ServerCertificate, context.account_id, name):
        raise EntityAlreadyExists(f"The Server Certificate with name {name} already exists.")
    common.check_quota(context, ServerCertificate, "ServerCertificates", QUOTA)
    parsed = read_certificate(body)
    _check_key(parsed, str(request["PrivateKey"]))
    made = ServerCertificate(
        id=ids.iam_id("ASCA"),
        # As AWS answers, and as Terraform compares it.
        body=body.strip(),
        chain=_check_chain(request.get("CertificateChain")),
        expires_at=parsed.not_valid_after_utc,
        tags=common.read_tags(request),
        created_at=context.now(),
        **entity_values(common.account_of(context), _KIND, name, str(request.get("Path") or "/")),
    )
    context.session.add(made)
    return _with_tags({"ServerCertificateMetadata": _metadata(made)}, made)


@operation("iam", "GetServerCertificate", checks=common.entity_checks("GetServerCertificate", _KIND, named_certificate))
def get_server_certificate(context: Context, request: Request) -> Response:
    found = the_certificate(context, request)
    shape = {"ServerCertificateMetadata": _metadata(found), "CertificateBody": found.body}
    if found.chain:
        shape["CertificateChain"] = found.chain
    return {"ServerCertificate": _with_tags(shape, found)}


@operation("iam", "ListServerCertificates", checks=action("iam:ListServerCertificates"))
def list_server_certificates(context: Context, request: Request) -> Response:
    return common.page_of_entities(
        context,
        request,
        "ListServerCertificates",
        table=ServerCertificate,
        shape=_metadata,
        member="ServerCertificateMetadataList",
    )


@operation(
    "iam",
    "UpdateServerCertificate",
    checks=common.rename_checks("UpdateServerCertificate", _KIND, _WORD, named_certificate),
)
def update_server_certificate(context: Context, request: Request) -> Response:
    common.rename(context, the_certificate(context, request), _KIND, request, _WORD)
    return None


@operation(
    "iam", "DeleteServerCertificate", checks=common.entity_checks("DeleteServerCertificate", _KIND, named_certificate)
)
def delete_server_certificate(context: Context, request: Request) -> Response:
    context.session.delete(the_certificate(context, request))
    return None


tags.register(
    tags.Tagged(
        _WORD,
        the_certificate,
        lambda action, with_tags: common.entity_checks(action, _KIND, named_certificate, tags=with_tags),
    )
)
