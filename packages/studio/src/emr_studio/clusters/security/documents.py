"""The JSON of security configurations: its form, and which of its parts this installation can honour.

The parts are those of the EMR Management Guide ("Create a security configuration"). Lake Formation and
Ranger are taken as they are: clusters with them are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from emr_studio.aws.errors import InvalidRequest, ValidationError

_CAPITALS = {"iam": "IAM", "tls": "TLS", "arn": "ARN"}
_MOST_HOPS = 64
_Filled = Annotated[str, msgspec.Meta(min_length=1)]
_Hours = Annotated[int, msgspec.Meta(ge=1)]


def _member(name: str) -> str:
    """`tls_certificate_configuration` is `TLSCertificateConfiguration`."""
    return "".join(_CAPITALS.get(word, word.capitalize()) for word in name.split("_"))


class _Part(msgspec.Struct, rename=_member, forbid_unknown_fields=True):
    """A part of the document: members that AWS does not know are refused, so that a misspelt one is noticed."""


class Certificates(_Part):
    """Where in-transit encryption has its certificates from."""

    certificate_provider_type: Literal["PEM", "Custom"]
    s3_object: _Filled
    certificate_provider_class: str | None = None


class InTransit(_Part):
    """Encryption between nodes."""

    tls_certificate_configuration: Certificates


class ObjectEncryption(_Part):
    """How objects are encrypted."""

    encryption_mode: Literal["SSE-S3", "SSE-KMS", "CSE-KMS", "CSE-Custom"]
    aws_kms_key: str | None = None
    s3_object: str | None = None
    encryption_key_provider_class: str | None = None


class BucketEncryption(ObjectEncryption, kw_only=True):
    """What differs for one bucket."""

    bucket_name: _Filled


class S3Encryption(ObjectEncryption):
    """Encryption of what EMRFS writes."""

    overrides: list[BucketEncryption] = []


class DiskEncryption(_Part):
    """Encryption of the nodes' disks."""

    encryption_key_provider_type: Literal["AwsKms", "Custom"]
    aws_kms_key: str | None = None
    s3_object: str | None = None
    encryption_key_provider_class: str | None = None
    enable_ebs_encryption: bool = False


class AtRest(_Part):
    """Encryption of what lies."""

    s3_encryption_configuration: S3Encryption | None = None
    local_disk_encryption_configuration: DiskEncryption | None = None


class Encryption(_Part):
    """`EncryptionConfiguration`."""

    enable_in_transit_encryption: bool = False
    enable_at_rest_encryption: bool = False
    in_transit_encryption_configuration: InTransit | None = None
    at_rest_encryption_configuration: AtRest | None = None


class Metadata(_Part):
    """`InstanceMetadataServiceConfiguration`."""

    minimum_instance_metadata_service_version: Literal[1, 2]
    http_put_response_hop_limit: Annotated[int, msgspec.Meta(ge=1, le=_MOST_HOPS)] = 1


class ScopedRole(_Part):
    """How runtime roles behave."""

    propagate_source_identity: bool = False


class IamAuthorization(_Part):
    """`IAMConfiguration`: runtime roles."""

    enable_application_scoped_iam_role: bool = False
    application_scoped_iam_role_configuration: ScopedRole | None = None


class RoleMapping(_Part):
    """Whose requests to S3 have which role."""

    role: _Filled
    identifier_type: Literal["User", "Group", "Prefix"]
    identifiers: Annotated[list[_Filled], msgspec.Meta(min_length=1)]


class EmrFs(_Part):
    """Roles for EMRFS's requests to S3."""

    role_mappings: Annotated[list[RoleMapping], msgspec.Meta(min_length=1)]


class Authorization(_Part):
    """`AuthorizationConfiguration`."""

    iam_configuration: IamAuthorization | None = None
    emr_fs_configuration: EmrFs | None = msgspec.field(default=None, name="EmrFsConfiguration")
    lake_formation_configuration: dict[str, Any] | None = None
    ranger_configuration: dict[str, Any] | None = None


class CrossRealm(_Part):
    """Trust between the cluster's realm and another."""

    realm: _Filled
    domain: _Filled
    admin_server: _Filled
    kdc_server: _Filled


class DedicatedKdc(_Part):
    """A KDC on the primary node."""

    ticket_lifetime_in_hours: _Hours = 24
    cross_realm_trust_configuration: CrossRealm | None = None


class AdIntegration(_Part):
    """Active Directory behind an external KDC."""

    ad_realm: _Filled
    ad_domain: _Filled
    ad_server: str | None = None


class ExternalKdc(_Part):
    """A KDC elsewhere."""

    admin_server: _Filled
    kdc_server: _Filled
    kdc_server_type: Literal["Single", "MultiMaster"] = "Single"
    ticket_lifetime_in_hours: _Hours = 24
    ad_integration_configuration: AdIntegration | None = None


class Kerberos(_Part):
    """`KerberosConfiguration`."""

    provider: Literal["ClusterDedicatedKdc", "ExternalKdc"]
    cluster_dedicated_kdc_configuration: DedicatedKdc | None = None
    external_kdc_configuration: ExternalKdc | None = None


class IdentityCenter(_Part):
    """Trusted identity propagation. The guide spells `Assigment` so."""

    enable_identity_center: bool = False
    identity_center_instance_arn: str | None = None
    identity_center_application_assigment_required: bool = False
    iam_role_for_emr_identity_center_application_arn: str | None = msgspec.field(
        default=None, name="IAMRoleForEMRIdentityCenterApplicationARN"
    )
    enable_user_background_session: bool = False


class Authentication(_Part):
    """`AuthenticationConfiguration`."""

    kerberos_configuration: Kerberos | None = None
    identity_center_configuration: IdentityCenter | None = None


class Document(_Part):
    """A security configuration."""

    encryption_configuration: Encryption | None = None
    instance_metadata_service_configuration: Metadata | None = None
    authorization_configuration: Authorization | None = None
    authentication_configuration: Authentication | None = None


def read_document(text: str) -> Document:
    """The document in a request.

    Raises:
        InvalidRequest: it is no JSON, or naming the member that is wrong.
    """
    try:
        document = msgspec.json.decode(text, type=Document)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The security configuration is not valid: {error}.") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidRequest(f"The security configuration is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidRequest("The security configuration is nested too deeply.") from error
    wrong = _fault(document)
    if wrong:
        raise InvalidRequest(f"The security configuration is not valid: {wrong}.")
    return document


def _fault(document: Document) -> str | None:
    """What is wrong beyond the form."""
    if not any(getattr(document, name) for name in document.__struct_fields__):
        return "it configures nothing"
    faults = [_encryption_fault(document.encryption_configuration)]
    if document.authentication_configuration:
        faults.append(_kerberos_fault(document.authentication_configuration.kerberos_configuration))
    return next((fault for fault in faults if fault), None)


def _encryption_fault(encryption: Encryption | None) -> str | None:
    if encryption is None:
        return None
    if encryption.enable_in_transit_encryption and encryption.in_transit_encryption_configuration is None:
        return "EnableInTransitEncryption needs InTransitEncryptionConfiguration"
    at_rest = encryption.at_rest_encryption_configuration
    if not encryption.enable_at_rest_encryption:
        return None
    if at_rest is None:
        return "EnableAtRestEncryption needs AtRestEncryptionConfiguration"
    s3, disk = at_rest.s3_encryption_configuration, at_rest.local_disk_encryption_configuration
    if s3 is None and disk is None:
        return "AtRestEncryptionConfiguration needs S3EncryptionConfiguration or LocalDiskEncryptionConfiguration"
    for one in [s3, *s3.overrides] if s3 else []:
        if one.encryption_mode.endswith("-KMS") and not one.aws_kms_key:
            return f"EncryptionMode {one.encryption_mode} needs AwsKmsKey"
        if one.encryption_mode == "CSE-Custom" and not (one.s3_object and one.encryption_key_provider_class):
            return "EncryptionMode CSE-Custom needs S3Object and EncryptionKeyProviderClass"
    if disk and disk.encryption_key_provider_type == "AwsKms" and not disk.aws_kms_key:
        return "EncryptionKeyProviderType AwsKms needs AwsKmsKey"
    return None


def _kerberos_fault(kerberos: Kerberos | None) -> str | None:
    if kerberos is None:
        return None
    if kerberos.provider == "ExternalKdc":
        return None if kerberos.external_kdc_configuration else "Provider ExternalKdc needs ExternalKdcConfiguration"
    if kerberos.cluster_dedicated_kdc_configuration is None:
        return "Provider ClusterDedicatedKdc needs ClusterDedicatedKdcConfiguration"
    return None


def unhonoured(document: Document) -> str | None:
    """The first part that this installation cannot honour, by its path; None if it honours all.

    The settings of the instance metadata service are honoured as they are: no node has one, so nothing
    there answers a request without a token.
    """
    wanted: list[tuple[str, object]] = []
    if (encryption := document.encryption_configuration) is not None:
        at_rest = encryption.at_rest_encryption_configuration if encryption.enable_at_rest_encryption else None
        where = "EncryptionConfiguration.AtRestEncryptionConfiguration"
        wanted += [
            ("EncryptionConfiguration.InTransitEncryptionConfiguration", encryption.enable_in_transit_encryption),
            (f"{where}.LocalDiskEncryptionConfiguration", at_rest and at_rest.local_disk_encryption_configuration),
            (f"{where}.S3EncryptionConfiguration", at_rest and at_rest.s3_encryption_configuration),
        ]
    if (authentication := document.authentication_configuration) is not None:
        center = authentication.identity_center_configuration
        where = "AuthenticationConfiguration"
        wanted += [
            (f"{where}.KerberosConfiguration", authentication.kerberos_configuration),
            (f"{where}.IdentityCenterConfiguration", center and center.enable_identity_center),
        ]
    if (authorization := document.authorization_configuration) is not None:
        where = "AuthorizationConfiguration"
        wanted += [
            (f"{where}.LakeFormationConfiguration", authorization.lake_formation_configuration is not None),
            (f"{where}.RangerConfiguration", authorization.ranger_configuration is not None),
            (f"{where}.EmrFsConfiguration", authorization.emr_fs_configuration),
        ]
    return next((path for path, is_wanted in wanted if is_wanted), None)


def check_honoured(name: str, document: Document) -> None:
    """Check that a cluster can have this security configuration.

    Raises:
        ValidationError: naming the part that this installation cannot honour.
    """
    part = unhonoured(document)
    if part:
        raise ValidationError(f"SecurityConfiguration '{name}': {part} is not supported by this installation.")


def is_scoped(document: Mapping[str, Any]) -> bool:
    """True if a cluster's copy of its security configuration sets EnableApplicationScopedIAMRole."""
    iam = (document.get("AuthorizationConfiguration") or {}).get("IAMConfiguration") or {}
    return bool(iam.get("EnableApplicationScopedIAMRole"))
