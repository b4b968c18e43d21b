"""Studios' tags, and who may open a Studio by its ARN or its tags; through real IAM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.aws.errors import AccessDenied, InvalidRequest
from tests.support.emr_world import ACCOUNT, World, emr_world, statement

UNKNOWN = "es-0000000000000000000000000"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with emr_world(tmp_path) as made:
        yield made


@pytest.mark.capability("ST-18")
def test_tags_are_added_replaced_and_removed(world: World) -> None:
    studio_id = world.studio(Tags=[{"Key": "a", "Value": "1"}])
    world.call("AddTags", ResourceId=studio_id, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b"}])
    tags = world.call("DescribeStudio", StudioId=studio_id)["Studio"]["Tags"]
    assert tags == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    world.call("RemoveTags", ResourceId=studio_id, TagKeys=["a", "never-there"])
    assert world.call("DescribeStudio", StudioId=studio_id)["Studio"]["Tags"] == [{"Key": "b", "Value": ""}]


def test_tagging_what_cannot_be_tagged(world: World) -> None:
    for resource_id, message in ((UNKNOWN, "Studio does not exist"), ("x-1", "'x-1' is not valid"), ("", "not valid")):
        with pytest.raises(InvalidRequest, match=message):
            world.call("AddTags", ResourceId=resource_id, Tags=[{"Key": "a"}])
    studio_id = world.studio(Tags=[{"Key": str(n)} for n in range(50)])
    with pytest.raises(InvalidRequest, match="at most 50"):
        world.call("AddTags", ResourceId=studio_id, Tags=[{"Key": "more"}])
    world.call("AddTags", ResourceId=studio_id, Tags=[{"Key": "1", "Value": "replaced"}])


def test_tags_can_be_required_and_limited_by_policy(world: World) -> None:
    studio_id = world.studio(Tags=[{"Key": "team", "Value": "red"}])
    own = {"StringEquals": {"elasticmapreduce:ResourceTag/team": "red"}}
    tagger = world.user(
        "tagger",
        statement("elasticmapreduce:AddTags", **own, **{"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}),
        statement("elasticmapreduce:RemoveTags", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}),
    )
    world.call("AddTags", tagger, ResourceId=studio_id, Tags=[{"Key": "cost", "Value": "1"}])
    world.call("RemoveTags", tagger, ResourceId=studio_id, TagKeys=["cost"])
    with pytest.raises(AccessDenied):
        world.call("AddTags", tagger, ResourceId=studio_id, Tags=[{"Key": "team", "Value": "blue"}])
    with pytest.raises(AccessDenied):
        world.call("RemoveTags", tagger, ResourceId=studio_id, TagKeys=["team"])
    with pytest.raises(AccessDenied):
        world.call("AddTags", tagger, ResourceId=world.studio(), Tags=[{"Key": "cost", "Value": "1"}])


@pytest.mark.capability("UA-01")
def test_assignment_by_the_studios_arn(world: World) -> None:
    mine, other = world.studio(), world.studio()
    arn = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/{mine}"
    user = world.user("ana", statement("elasticmapreduce:CreateStudioPresignedUrl", arn))
    link = world.call("CreateStudioPresignedUrl", user, StudioId=mine)
    assert link["Url"] == f"link:{mine}:{user.user_id}"
    with pytest.raises(AccessDenied, match="CreateStudioPresignedUrl"):
        world.call("CreateStudioPresignedUrl", user, StudioId=other)


@pytest.mark.capability("UA-02")
@pytest.mark.parametrize("prefix", ["elasticmapreduce", "aws"])
def test_assignment_by_tag_ends_with_the_tag(world: World, prefix: str) -> None:
    studio_id = world.studio(Tags=[{"Key": "team", "Value": "red"}])
    tagged = {"StringEquals": {f"{prefix}:ResourceTag/team": "red"}}
    user = world.user("ana", statement("elasticmapreduce:CreateStudioPresignedUrl", **tagged))
    assert world.call("CreateStudioPresignedUrl", user, StudioId=studio_id)
    world.call("RemoveTags", ResourceId=studio_id, TagKeys=["team"])
    with pytest.raises(AccessDenied):
        world.call("CreateStudioPresignedUrl", user, StudioId=studio_id)


def test_tags_can_be_required_at_creation(world: World) -> None:
    creator = world.user(
        "creator",
        statement("elasticmapreduce:CreateStudio", StringEquals={"elasticmapreduce:RequestTag/team": "red"}),
        statement("iam:PassRole"),
    )
    with pytest.raises(AccessDenied, match="elasticmapreduce:CreateStudio"):
        world.call("CreateStudio", creator, **world.studio_request())
    assert world.call("CreateStudio", creator, **world.studio_request(Tags=[{"Key": "team", "Value": "red"}]))
