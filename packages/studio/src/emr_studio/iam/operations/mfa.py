"""Virtual MFA devices."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import mfa
from emr_studio.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from emr_studio.iam.federation import totp
from emr_studio.iam.model import MfaDevice, User
from emr_studio.iam.operations import common, users
from emr_studio.iam.operations.by_arn import ByArn, creation_checks, with_tags
from emr_studio.iam.sealing import Sealer

_MOST_OF_A_USER = 8
_LONGEST_NAME = 226
"""As AWS's documentation has it; the model names no limit."""
_ISSUER = "EMR Studio"
_DEVICES = ByArn(MfaDevice, "SerialNumber", "VirtualMFADevice with serial number {arn} doesn't exist.")


def _serial(context: Context, request: Request) -> str:
    path, name = str(request.get("Path") or "/"), str(request["VirtualMFADeviceName"])
    if len(name) > _LONGEST_NAME:
        raise common.validation_error(f"virtualMFADeviceName must have at most {_LONGEST_NAME} characters")
    return common.entity_arn(context, "mfa", name, path)


@operation("iam", "CreateVirtualMFADevice", checks=creation_checks("CreateVirtualMFADevice", _serial))
def create_virtual_mfa_device(context: Context, request: Request) -> Response:
    """The seed and its QR code are shown now and never again."""
    serial = _serial(context, request)
    if context.session.get(MfaDevice, serial) is not None:
        raise EntityAlreadyExists("MFADevice entity at the same path and name already exists.")
    seed = totp.new_seed()
    device = MfaDevice(
        serial=serial,
        account_id=context.account_id,
        sealed_seed=context.port(Sealer).seal(seed, mfa.seed_purpose(serial)),
        tags=common.read_tags(request),
        created_at=context.now(),
    )
    context.session.add(device)
    label = f"{request['VirtualMFADeviceName']}@{context.account_id}"
    shape = {
        "SerialNumber": serial,
        "Base32StringSeed": totp.base32(seed).encode(),
        "QRCodePNG": totp.qr_png(totp.uri(seed, label, _ISSUER)),
    }
    return {"VirtualMFADevice": with_tags(shape, device)}


@operation("iam", "EnableMFADevice", checks=common.entity_checks("EnableMFADevice", "user", users.named_user))
def enable_mfa_device(context: Context, request: Request) -> Response:
    user, device = users.the_user(context, request), _DEVICES.get(context, request)
    if device.user_id is not None:
        raise EntityAlreadyExists("MFADevice entity already exists.")
    if len(mfa.devices_of(context.session, user.id)) >= _MOST_OF_A_USER:
        raise LimitExceeded(f"Cannot exceed quota for MFADevicesPerUser: {_MOST_OF_A_USER}")
    _synchronise(context, device, request)
    device.user_id, device.enabled_at = user.id, context.now()
    return None


@operation("iam", "ResyncMFADevice", checks=common.entity_checks("ResyncMFADevice", "user", users.named_user))
def resync_mfa_device(context: Context, request: Request) -> Response:
    _synchronise(context, _enabled(context, request), request)
    return None


@operation("iam", "DeactivateMFADevice", checks=common.entity_checks("DeactivateMFADevice", "user", users.named_user))
def deactivate_mfa_device(context: Context, request: Request) -> Response:
    device = _enabled(context, request)
    device.user_id, device.enabled_at = None, None
    return None


@operation("iam", "DeleteVirtualMFADevice", checks=_DEVICES.checks("DeleteVirtualMFADevice"))
def delete_virtual_mfa_device(context: Context, request: Request) -> Response:
    device = _DEVICES.get(context, request)
    if device.user_id is not None:
        raise DeleteConflict("MFA VirtualDevice in use. Must deactivate first.")
    context.session.delete(device)
    return None


@operation("iam", "GetMFADevice", checks=common.entity_checks("GetMFADevice", "user", users.named_user))
def get_mfa_device(context: Context, request: Request) -> Response:
    device = _DEVICES.get(context, request)
    shape: dict[str, Any] = {"SerialNumber": device.serial}
    if device.user_id is not None:
        user = context.session.get_one(User, device.user_id)
        shape |= {"UserName": user.name, "EnableDate": device.enabled_at}
    return shape


@operation("iam", "ListMFADevices", checks=common.entity_checks("ListMFADevices", "user", users.named_user))
def list_mfa_devices(context: Context, request: Request) -> Response:
    user = users.the_user(context, request)
    shapes = [
        {"UserName": user.name, "SerialNumber": device.serial, "EnableDate": device.enabled_at}
        for device in mfa.devices_of(context.session, user.id)
    ]
    return common.page(context, request, "ListMFADevices", shapes, "MFADevices")


@operation("iam", "ListVirtualMFADevices", checks=common.list_check("ListVirtualMFADevices", "mfa"))
def list_virtual_mfa_devices(context: Context, request: Request) -> Response:
    query = select(MfaDevice).where(MfaDevice.account_id == context.account_id).order_by(MfaDevice.serial)
    status = request.get("AssignmentStatus") or "Any"
    if status != "Any":
        assigned = MfaDevice.user_id.is_not(None)
        query = query.where(assigned if status == "Assigned" else ~assigned)
    shapes = [_listed(context, device) for device in context.session.scalars(query)]
    return common.page(context, request, "ListVirtualMFADevices", shapes, "VirtualMFADevices")


def _listed(context: Context, device: MfaDevice) -> dict[str, Any]:
    shape: dict[str, Any] = {"SerialNumber": device.serial}
    if device.user_id is not None:
        shape["User"] = users.shape(context.session.get_one(User, device.user_id))
        shape["EnableDate"] = device.enabled_at
    return with_tags(shape, device)


def _enabled(context: Context, request: Request) -> MfaDevice:
    """The named device, of the named user."""
    user, device = users.the_user(context, request), _DEVICES.find(context, request)
    if device is None or device.user_id != user.id:
        raise NoSuchEntity(f"MFA Device invalid for user {user.name}.")
    return device


def _synchronise(context: Context, device: MfaDevice, request: Request) -> None:
    first, second = str(request["AuthenticationCode1"]), str(request["AuthenticationCode2"])
    if not mfa.synchronise(context.port(Sealer), device, first, second, context.now()):
        raise ClientError("InvalidAuthenticationCode", "Authentication code for device is not valid.", 403)


_DEVICES.register_tags("MFADevice")
