"""Sign-in of a user with an MFA device, in Chromium: a second step on the page, and what the code is good for."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path

from playwright.sync_api import Page, expect

from emr_studio.iam.federation import totp
from tests.support.studio import Studio

NAME, PASSWORD = "careful", "Correct-horse-7"


def test_a_user_with_a_device_shows_its_code(studio: Studio, page: Page, artifacts: Path) -> None:
    iam = studio.client("iam")
    iam.create_user(UserName=NAME)
    with_code = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    statement = {"Effect": "Allow", "Action": "elasticmapreduce:*", "Resource": "*", "Condition": with_code}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName=NAME, PolicyName="with-code", PolicyDocument=document)
    iam.create_login_profile(UserName=NAME, Password=PASSWORD)
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName=NAME)["VirtualMFADevice"]
    seed = base64.b32decode(made["Base32StringSeed"])
    (artifacts / "mfa-qr.png").write_bytes(made["QRCodePNG"])

    def code(later: int) -> str:
        return totp.code(seed, totp.step_of(dt.datetime.now(dt.UTC)) + later)

    iam.enable_mfa_device(
        UserName=NAME,
        SerialNumber=made["SerialNumber"],
        AuthenticationCode1=code(-2),
        AuthenticationCode2=code(-1),
    )
    page.goto(studio.json["console_url"])
    page.get_by_label("IAM user name").fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    expect(page.get_by_label("MFA code")).to_have_count(0)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Enter the code that your MFA device shows.")).to_be_visible()
    page.get_by_label("MFA code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The code is not right, or was used before.")).to_be_visible()
    expect(page.get_by_label("MFA code")).to_have_value("")
    page.screenshot(path=str(artifacts / "mfa-sign-in.png"))
    page.get_by_label("MFA code").fill(code(0))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name=NAME)).to_be_visible()
    page.get_by_role("link", name="Studios").first.click()
    # Her policy allows it with a code only.
    expect(page.get_by_role("heading", name="Studios").first).to_be_visible()
    expect(page.get_by_text("is not authorized to perform")).to_have_count(0)
    page.screenshot(path=str(artifacts / "mfa-signed-in.png"))
