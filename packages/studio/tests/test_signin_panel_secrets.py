"""What a Workspace's page can have put into a new secret: its own credentials, under names and tags of ours."""

from __future__ import annotations

import json

import pytest

from emr_studio.signin.panel_secrets import new_secret


def made(**given: object) -> dict[str, object]:
    return new_secret(json.dumps(given).encode(), "AIDAEXAMPLE")


@pytest.mark.capability("GT-02")
def test_user_and_password_in_the_form_that_git_needs() -> None:
    found = made(Name="reports", Username="zoe", Password='p"w', Tags=[{"Key": "a", "Value": "b"}])
    assert found["Name"] == "emr-studio-reports"
    assert json.loads(str(found["SecretString"])) == {"gitUsername": "zoe", "gitPassword": 'p"w'}
    assert found["Tags"] == [
        {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"},
        {"Key": "for-use-with-amazon-emr-managed-user-policies", "Value": "AIDAEXAMPLE"},
    ]
    assert made(Name="emr-studio-reports", Password="p")["Name"] == "emr-studio-reports"


@pytest.mark.capability("GT-02")
def test_a_token_alone_has_a_users_name_too() -> None:
    found = json.loads(str(made(Name="t", Username="", Password="ghp_x")["SecretString"]))
    assert found == {"gitUsername": "x-access-token", "gitPassword": "ghp_x"}


@pytest.mark.parametrize(
    "given",
    [
        *({"Name": "a b", "Password": "p"}, {"Name": "", "Password": "p"}, {"Name": 1, "Password": "p"}),
        *({"Name": "a", "Password": ""}, {"Name": "a"}, {"Name": "a", "Password": ["p"]}),
        *({"Name": "a", "Password": "a\nb"}, {"Name": "a", "Password": "p", "Username": "a\nb"}),
        {"Name": "a", "Password": "p" * 5000},
    ],
)
def test_what_is_wrong_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"password|characters|letters"):
        made(**given)


@pytest.mark.parametrize("body", [b"", b"[]", b"nothing", b'"text"', b"[" * 3000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        new_secret(body, "AIDAEXAMPLE")
