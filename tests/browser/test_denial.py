"""A denial in the console: what, on what, why; and the policy, for those who may see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.studio import Studio

NAME, PASSWORD = "visitor", "Visitor-pass-1"
DENY = {"Sid": "NoNewStudios", "Effect": "Deny", "Action": "elasticmapreduce:CreateStudio", "Resource": "*"}


def _allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def _put(iam: Any, *statements: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=NAME, PolicyName="own", PolicyDocument=document)


def _see(page: Page, text: str, *, exact: bool = False) -> None:
    # A form's error stands twice in the page: for the eye, and for who listens to it.
    expect(page.get_by_text(text, exact=exact).first).to_be_visible()


def _ask_for_a_studio(page: Page) -> None:
    page.get_by_label("Studio name").fill("mine")
    page.get_by_role("button", name="Create Studio").click()
    _see(page, "elasticmapreduce:CreateStudio", exact=True)


def test_why_a_studio_cannot_be_made(studio: Studio, page: Page, artifacts: Path) -> None:
    iam = studio.client("iam")
    iam.create_user(UserName=NAME)
    iam.create_login_profile(UserName=NAME, Password=PASSWORD)
    see = _allow("elasticmapreduce:List*", "elasticmapreduce:Describe*")
    _put(iam, see, DENY)

    page.goto(studio.json["console_url"])
    page.get_by_label("IAM user name").fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Studios").first.click()
    page.get_by_role("button", name="Create Studio").first.click()
    _ask_for_a_studio(page)
    _see(page, "with an explicit deny in an identity-based policy")
    page.screenshot(path=str(artifacts / "denial.png"))

    page.get_by_role("button", name="Why is elasticmapreduce:CreateStudio denied?").first.click()
    _see(page, "it takes sts:DecodeAuthorizationMessage")

    # An administrator lets her see: no new sign-in, no wait.
    _put(iam, see, DENY, _allow("sts:DecodeAuthorizationMessage"))
    _ask_for_a_studio(page)
    page.get_by_role("button", name="Why is elasticmapreduce:CreateStudio denied?").first.click()
    _see(page, f"own (user/{NAME}), statement NoNewStudios (identity)")
    _see(page, '"Effect": "Deny"')
    page.screenshot(path=str(artifacts / "denial-why.png"), full_page=True)

    # Nothing allows it at all: what came close is shown.
    other = {"StringEquals": {"aws:RequestTag/team": "red"}}
    near = {**_allow("elasticmapreduce:CreateStudio"), "Sid": "Tagged", "Condition": other}
    _put(iam, see, near, _allow("sts:DecodeAuthorizationMessage"))
    _ask_for_a_studio(page)
    page.get_by_role("button", name="Why is elasticmapreduce:CreateStudio denied?").first.click()
    _see(page, "Its conditions do not hold.")
