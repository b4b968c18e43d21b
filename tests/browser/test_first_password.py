"""A first password opens nothing but the fields for a new one."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.studio import Studio

FIRST, SECOND = "First-pass-1", "Second-pass-2"
NAME = "newcomer"


def test_a_newcomer_chooses_a_password(studio: Studio, page: Page, artifacts: Path) -> None:
    iam = studio.client("iam")
    iam.create_user(UserName=NAME)
    statement = {"Effect": "Allow", "Action": "iam:ChangePassword", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName=NAME, PolicyName="own-password", PolicyDocument=document)
    iam.create_login_profile(UserName=NAME, Password=FIRST, PasswordResetRequired=True)

    page.goto(studio.json["console_url"])
    page.get_by_label("IAM user name").fill(NAME)
    page.get_by_label("Password", exact=True).fill(FIRST)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("You must choose a new password to sign in.")).to_be_visible()
    page.get_by_label("New password", exact=True).fill("weak")
    page.get_by_label("New password again").fill("different")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The two are not the same.")).to_be_visible()
    page.get_by_label("New password again").fill("weak")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Password should have a minimum length of 8")).to_be_visible()
    page.screenshot(path=str(artifacts / "first-password.png"))
    page.get_by_label("New password", exact=True).fill(SECOND)
    page.get_by_label("New password again").fill(SECOND)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("IAM user name")).to_have_count(0)
    expect(page.get_by_role("button", name=NAME)).to_be_visible()
    assert not iam.get_login_profile(UserName=NAME)["LoginProfile"]["PasswordResetRequired"]
    assert "PasswordLastUsed" in iam.get_user(UserName=NAME)["User"]
