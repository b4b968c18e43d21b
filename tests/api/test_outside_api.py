"""Clusters from outside by stock boto3 with our overlay: shapes, codes, attaching, and what the trail keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emr_studio.cli.configure_aws import configure_aws
from emr_studio.clock import SystemClock
from emr_studio.settings import Settings
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_api import EmrApi, refused, until
from tests.support.trail_api import TrailApi, served_trail

URL = "https://gateway.example.com/base"
REQUEST = {"Name": "theirs", "Type": "JUPYTER_GATEWAY", "Url": URL}


@pytest.fixture(scope="module")
def play(api: EmrApi) -> ClusterPlay:
    return ClusterPlay(api.world, api.runtime, SystemClock())


def registered(emr: Any, play: ClusterPlay, **more: Any) -> str:
    cluster_id: str = emr.register_cluster(**REQUEST, **more)["ClusterId"]
    play.settle(cluster_id)
    play.turn(cluster_id)
    return cluster_id


def test_from_registering_to_the_end(emr: Any, play: ClusterPlay, api: EmrApi) -> None:
    cluster_id = registered(emr, play, UserName="ana", Password="their-secret", Tags=[{"Key": "team", "Value": "a"}])
    cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
    assert cluster["OutsideCluster"] == {"Type": "JUPYTER_GATEWAY", "Url": URL, "AuthenticationType": "BASIC"}
    assert cluster["Status"]["State"] == "WAITING"
    assert "their-secret" not in json.dumps(cluster, default=str)
    assert cluster_id in [one["Id"] for one in emr.list_clusters(ClusterStates=["WAITING"])["Clusters"]]
    editor_id = emr.create_editor(
        StudioId=api.world.studio(), Name="w", ExecutionEngine={"Id": cluster_id, "Type": "EMR"}
    )["EditorId"]
    until(lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Attached")
    gateway = api.runtime.workloads[editor_id].gateway
    assert gateway is not None
    assert (gateway.cluster_id, gateway.token) == (cluster_id, play.row(cluster_id).gateway_token)
    emr.deregister_cluster(ClusterId=cluster_id)
    play.settle(cluster_id)
    emr.get_waiter("cluster_terminated").wait(ClusterId=cluster_id, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    until(lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Ready")


def test_one_that_is_away_is_not_attached(emr: Any, play: ClusterPlay, api: EmrApi) -> None:
    cluster_id = registered(emr, play)
    play.probe.outside_now = ("UNREACHABLE", "gateway.example.com does not answer at port 443: Connection refused.")
    play.turn(cluster_id)
    play.probe.outside_now = ("", "")
    engine = {"Id": cluster_id, "Type": "EMR"}
    code, _, message = refused(emr.create_editor, StudioId=api.world.studio(), Name="x", ExecutionEngine=engine)
    assert code == "InvalidRequestException"
    assert "cannot be attached now: UNREACHABLE: gateway.example.com does not answer" in message


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"Type": "SPARK"}, "ValidationException", "enum value set"),
        ({"Url": "ftp://gateway.example.com"}, "InvalidRequestException", "Url must begin with"),
        ({"Url": "http://127.0.0.1:8080"}, "InvalidRequestException", "outside_local_targets"),
        ({"Url": "https://ana:secret@gateway.example.com"}, "InvalidRequestException", "credentials are Token"),
        ({"Token": "t", "UserName": "u", "Password": "p"}, "InvalidRequestException", "mutually exclusive"),
        ({"UserName": "u"}, "InvalidRequestException", "go together"),
        ({"Name": " "}, "InvalidRequestException", "Name must not be blank"),
        ({"Ec2SubnetId": "subnet-0"}, "InvalidRequestException", "does not exist"),
    ],
)
def test_what_is_refused(emr: Any, change: dict[str, str], code: str, text: str) -> None:
    found = refused(emr.register_cluster, **(REQUEST | change))
    assert found[0] == code
    assert text in found[2]
    assert "secret" not in found[2]


def test_by_the_aws_cli(api: EmrApi, emr: Any, play: ClusterPlay, tmp_path: Path) -> None:
    key_id, secret = api.key("admin")
    admin = {"access_key_id": key_id, "secret_access_key": secret}
    studio = {"endpoint_url": api.endpoint, "region": "us-east-1", "admin": admin}
    (tmp_path / "studio.json").write_text(json.dumps(studio))
    configure_aws(Settings(data_dir=tmp_path), aws_dir=tmp_path / ".aws")
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = own | {"HOME": str(tmp_path), "AWS_PROFILE": "emr-studio"}

    def aws(*arguments: str) -> dict[str, Any]:
        argv = [str(Path(sys.executable).with_name("aws")), "emr", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout or "{}"))

    request = ("--name", "theirs", "--type", "JUPYTER_GATEWAY", "--url", URL, "--token", "t")
    cluster_id = aws("register-cluster", *request, "--tags", "Key=team,Value=a")["ClusterId"]
    cluster = aws("describe-cluster", "--cluster-id", cluster_id)["Cluster"]
    assert (cluster["OutsideCluster"]["Url"], cluster["Tags"]) == (URL, [{"Key": "team", "Value": "a"}])
    aws("deregister-cluster", "--cluster-id", cluster_id)
    play.settle(cluster_id)
    assert emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"] == "TERMINATED"


def test_unknown_ones(emr: Any) -> None:
    assert refused(emr.deregister_cluster, ClusterId="j-NOTHERE")[0] == "InvalidRequestException"


def test_the_trail_keeps_no_credentials(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served_trail(tmp_path_factory.mktemp("trail")) as trail:
        told = _told(trail)
    assert told["requestParameters"]["name"] == "theirs"
    assert told["responseElements"]["clusterId"].startswith("j-")
    assert "their-secret" not in json.dumps(told)
    assert "gateway.example.com" not in json.dumps(told)


def _told(trail: TrailApi) -> dict[str, Any]:
    """The record of a registration."""
    allow = {"Effect": "Allow", "Action": "elasticmapreduce:*", "Resource": "*"}
    trail.client("emr", *trail.user("ana", allow)).register_cluster(**REQUEST, Token="their-secret")
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "RegisterCluster"}]
    (event,) = trail.client("cloudtrail").lookup_events(LookupAttributes=attributes)["Events"]
    return dict(json.loads(event["CloudTrailEvent"]))
