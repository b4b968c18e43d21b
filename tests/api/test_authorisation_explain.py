"""`emr-studio iam explain` as a user runs it: what would be, what was, and what is not hers to see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.iam_api import allow, policy, trust
from tests.support.trail_api import ACCOUNT, TrailApi, served_trail

ARN = f"arn:aws:iam::{ACCOUNT}:"
STOP = "elasticmapreduce:StopEditor"
EDITOR = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:editor/e-1"
READER = [allow(["cloudtrail:LookupEvents", "sts:DecodeAuthorizationMessage", "iam:SimulatePrincipalPolicy"])]
SEES_POLICIES = allow(["iam:Get*", "iam:List*"])
DENY = {"Sid": "Never", "Effect": "Deny", "Action": STOP, "Resource": "*"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrailApi]:
    with served_trail(tmp_path_factory.mktemp("explain")) as served:
        yield served


@pytest.fixture(scope="module")
def keys(api: TrailApi) -> dict[str, tuple[str, str]]:
    """Who asks: one who may see all, one who sees reasons but no texts, one who may see nothing."""
    return {
        "auditor": api.user("auditor", *READER, SEES_POLICIES),
        "helper": api.user("helper", *READER),
        "nobody": api.user("nobody"),
    }


def run(api: TrailApi, key: tuple[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user with these keys; AWS's own variables say where the studio is."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "EMR_STUDIO_"))},
        "AWS_ENDPOINT_URL": api.endpoint,
        "AWS_ACCESS_KEY_ID": key[0],
        "AWS_SECRET_ACCESS_KEY": key[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "HOME": str(folder),
    }
    argv = [sys.executable, "-m", "emr_studio.cli", "iam", "explain", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def denied(api: TrailApi, key: tuple[str, str]) -> dict[str, Any]:
    """A denial of StopEditor; its response."""
    with pytest.raises(ClientError) as caught:
        api.client("emr", *key).stop_editor(EditorId="e-1")
    return dict(caught.value.response)


def test_what_would_be_decided(api: TrailApi, keys: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    tagged = allow(STOP, Sid="OwnTeam", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}})
    api.user("ana", allow("s3:*"), tagged, {**DENY, "Resource": EDITOR.replace("e-1", "e-2")})
    ask = ("--principal", f"{ARN}user/ana", "--action", STOP, "--resource", EDITOR)
    plain = run(api, keys["auditor"], tmp_path, *ask)
    assert plain.returncode == 0
    assert "Denied: nothing allows it" in plain.stdout
    assert "An identity-based policy of user/ana must allow it" in plain.stdout
    assert "keys that were not given: aws:ResourceTag/team" in plain.stdout

    found = as_json(run(api, keys["auditor"], tmp_path, *ask, "--context", "aws:ResourceTag/team=red", "--json"))
    assert (found["decision"], found["needed"]) == ("allowed", "")
    (by,) = found["statements"]
    assert (by["policy"], by["kind"], by["index"], by["statement"]) == ("user/ana#own", "user", 1, tagged)

    ask = (*ask[:4], "--resource", EDITOR.replace("e-1", "e-2"))
    stopped = run(api, keys["auditor"], tmp_path, *ask)
    assert "Denied by a statement" in stopped.stdout
    assert "decided by user/ana#own (user), statement 3 Never" in stopped.stdout
    assert '"Effect": "Deny"' in stopped.stdout
    # The helper may simulate, but not read policies: she learns which one it is, not what stands in it.
    unread = run(api, keys["helper"], tmp_path, *ask)
    assert "decided by own (user)" in unread.stdout
    assert "its text is not yours to see" in unread.stdout


def test_managed_policies_groups_boundaries_and_sessions(
    api: TrailApi, keys: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    iam = api.client("iam")
    api.user("ben")
    made = iam.create_policy(PolicyName="stoppers", PolicyDocument=json.dumps(policy(allow(STOP, Sid="Stop"))))
    arn = made["Policy"]["Arn"]
    iam.create_group(GroupName="team")
    iam.attach_group_policy(GroupName="team", PolicyArn=arn)
    iam.add_user_to_group(GroupName="team", UserName="ben")
    ask = ("--principal", f"{ARN}user/ben", "--action", STOP, "--resource", EDITOR, "--json")
    found = as_json(run(api, keys["auditor"], tmp_path, *ask))
    assert (found["decision"], found["statements"][0]["policy"]) == ("allowed", arn)
    assert found["statements"][0]["statement"]["Sid"] == "Stop"

    bounds = iam.create_policy(PolicyName="bounds", PolicyDocument=json.dumps(policy(allow("s3:*"))))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="ben", PermissionsBoundary=bounds)
    found = as_json(run(api, keys["auditor"], tmp_path, *ask))
    assert (found["decision"], found["layer"]) == ("implicitDeny", "boundary")
    assert found["needed"].startswith("The permissions boundary of user/ben must allow it too")

    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust({"AWS": f"{ARN}root"}), Path="/team/")
    iam.put_role_policy(RoleName="worker", PolicyName="own", PolicyDocument=json.dumps(policy(allow(STOP))))
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1"
    found = as_json(run(api, keys["auditor"], tmp_path, "--principal", session, *ask[2:]))
    assert (found["decision"], found["statements"][0]["policy"]) == ("allowed", "role/worker#own")


def test_what_was_denied(api: TrailApi, keys: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    key = api.user("carl", allow("*"), DENY)
    response = denied(api, key)
    request_id = response["ResponseMetadata"]["RequestId"]
    message = response["ResponseMetadata"]["HTTPHeaders"]["x-emr-studio-authorization-message"]
    for name in (request_id, message):
        found = as_json(run(api, keys["helper"], tmp_path, name, "--json"))
        assert (found["decision"], found["principal"], found["action"]) == ("explicitDeny", f"{ARN}user/carl", STOP)
        assert (found["statements"][0]["policy"], found["statements"][0]["statement"]) == (f"{ARN}user/carl#own", DENY)

    listed = run(api, keys["helper"], tmp_path, "--denied", "3")
    assert listed.returncode == 0
    assert f"elasticmapreduce:StopEditor  {ARN}user/carl" in listed.stdout
    assert f"by {ARN}user/carl#own (identity): Never" in listed.stdout
    first = as_json(run(api, keys["helper"], tmp_path, "--denied", "1", "--json"))
    assert len(first) == 1
    again = run(api, keys["helper"], tmp_path, first[0]["event_id"])
    assert "What it takes: No Allow helps while a statement denies" in again.stdout


def test_who_may_not_see_sees_nothing(api: TrailApi, keys: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    response = denied(api, keys["nobody"])
    for arguments in (
        (response["ResponseMetadata"]["RequestId"],),
        ("--denied",),
        ("--principal", f"{ARN}user/ana", "--action", STOP),
    ):
        done = run(api, keys["nobody"], tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "AccessDenied" in done.stderr
    # She may read the trail, but not why.
    reader = api.user("watcher", allow("cloudtrail:LookupEvents"))
    done = run(api, reader, tmp_path, "--denied", "1")
    assert (done.returncode, "why is not yours to see" in done.stdout) == (0, True)


def test_questions_that_make_no_sense(api: TrailApi, keys: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    principal = ("--principal", f"{ARN}user/ana", "--action", STOP)
    for arguments, words in (
        ((), "Say what to explain"),
        (("--denied", "many"), "--denied takes a number"),
        ((*principal, "--context", "team"), "write it as key=value"),
        (("no-such-message",), "InvalidAuthorizationMessageException"),
        (("--principal", f"{ARN}user/no-such", "--action", STOP), "NoSuchEntity"),
    ):
        done = run(api, keys["auditor"], tmp_path, *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_without_a_studio(api: TrailApi, tmp_path: Path) -> None:
    done = run(api, ("", ""), tmp_path, "--denied", "--data-dir", str(tmp_path / "none"))
    assert (done.returncode, "There is no studio in" in done.stderr) == (1, True)
