"""Clusters from outside: registering, what is refused, how they come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.errors import AccessDenied, InvalidRequest
from emr_studio.clusters.outside.model import Kind, OutsideCluster
from emr_studio.clusters.outside.targets import authorization, check_target, connection, gateway_url, target
from emr_studio.runtime.contract import ProcessSpec
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world, statement

URL = "https://jupyter.example.com/gateway"
SHOWN = {"Type": "JUPYTER_GATEWAY", "Url": URL, "AuthenticationType": "TOKEN"}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def register(play: ClusterPlay, **changes: Any) -> str:
    request = {"Name": "theirs", "Type": "JUPYTER_GATEWAY", "Url": URL, "Token": "their-secret"} | changes
    given = {name: value for name, value in request.items() if value is not None}
    return str(play.emr.call("RegisterCluster", **given)["ClusterId"])


def running(play: ClusterPlay, **changes: Any) -> str:
    cluster_id = register(play, **changes)
    play.settle(cluster_id)
    play.turn(cluster_id)
    assert play.state(cluster_id) == "WAITING"
    return cluster_id


def door_of(play: ClusterPlay, cluster_id: str) -> dict[str, Any]:
    spec = play.runtime.workloads[play.workload(cluster_id, "door")].spec
    assert isinstance(spec, ProcessSpec)
    (text,) = spec.files.values()
    return dict(json.loads(text))


def test_it_is_a_cluster_like_any_other(play: ClusterPlay) -> None:
    cluster_id = running(play, Tags=[{"Key": "team", "Value": "a"}])
    found = play.describe(cluster_id)
    assert found["OutsideCluster"] == SHOWN
    assert found["Tags"] == [{"Key": "team", "Value": "a"}]
    assert found["Status"]["StateChangeReason"] == {"Message": "Cluster ready."}
    assert "their-secret" not in json.dumps(found, default=str)
    (listed,) = play.emr.call("ListClusters")["Clusters"]
    assert (listed["Id"], listed["OutsideCluster"]) == (cluster_id, SHOWN)
    assert play.emr.call("ListInstances", ClusterId=cluster_id) == {"Instances": []}
    assert play.emr.call("ListInstanceGroups", ClusterId=cluster_id) == {"InstanceGroups": []}
    assert play.emr.call("DescribeJobFlows", JobFlowIds=[cluster_id]) == {"JobFlows": []}
    assert play.running() == [play.workload(cluster_id, "door")]


def test_its_program_alone_has_the_credentials(play: ClusterPlay) -> None:
    cluster_id = running(play)
    told, row = door_of(play, cluster_id), play.row(cluster_id)
    assert (told["url"], told["authorization"]) == (URL, "token their-secret")
    assert told["token"] == row.gateway_token != "their-secret"
    with play.emr.database.read() as session:
        kept = session.get_one(OutsideCluster, cluster_id)
    assert b"their-secret" not in kept.sealed
    assert not [file for file in play.emr.settings.data_dir.rglob("*.sqlite*") if b"their-secret" in file.read_bytes()]


def test_what_does_not_answer_says_so_and_comes_back(play: ClusterPlay) -> None:
    cluster_id = running(play)
    play.probe.outside_now = ("UNREACHABLE", "jupyter.example.com does not answer at port 443: Connection refused.")
    assert cluster_id in play.controller.pending()
    play.turn(cluster_id)
    status = play.describe(cluster_id)["Status"]
    assert status["State"] == "WAITING"
    assert status["StateChangeReason"] == {
        "Code": "UNREACHABLE",
        "Message": "jupyter.example.com does not answer at port 443: Connection refused.",
    }
    play.probe.outside_now = None
    play.turn(cluster_id)
    assert play.describe(cluster_id)["Status"]["StateChangeReason"]["Code"] == "UNREACHABLE"
    play.probe.outside_now = ("", "")
    play.turn(cluster_id)
    assert play.describe(cluster_id)["Status"]["StateChangeReason"] == {"Message": "Cluster ready."}


@pytest.mark.parametrize("operation", ["DeregisterCluster", "TerminateJobFlows"])
def test_it_is_forgotten_never_terminated(play: ClusterPlay, operation: str) -> None:
    cluster_id = running(play)
    play.emr.call(operation, **({"ClusterId": cluster_id} if operation[0] == "D" else {"JobFlowIds": [cluster_id]}))
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    reason = play.describe(cluster_id)["Status"]["StateChangeReason"]
    assert reason == {"Code": "USER_REQUEST", "Message": "Deregistered by user request; the cluster itself goes on"}
    assert play.nothing_left()
    with play.emr.database.read() as session:
        assert session.get(OutsideCluster, cluster_id) is None
    assert not (play.emr.settings.clusters_dir / cluster_id).exists()


def test_one_that_is_protected_stays(play: ClusterPlay) -> None:
    cluster_id = running(play)
    play.emr.call("SetTerminationProtection", JobFlowIds=[cluster_id], TerminationProtected=True)
    assert "termination protected" in play.refused("DeregisterCluster", ClusterId=cluster_id)[1]
    assert play.state(cluster_id) == "WAITING"


def test_one_of_ours_is_not_deregistered(play: ClusterPlay) -> None:
    code, message = play.refused("DeregisterCluster", ClusterId=play.create())
    assert code == "InvalidRequestException"
    assert "TerminateJobFlows" in message


def test_its_program_is_started_again(play: ClusterPlay) -> None:
    cluster_id = running(play)
    play.runtime.crash(play.workload(cluster_id, "door"))
    play.settle(cluster_id)
    assert play.running() == [play.workload(cluster_id, "door")]


STEP = {"Name": "s", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]}}


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("AddJobFlowSteps", {"JobFlowId": "", "Steps": [STEP]}),
        ("AddInstanceGroups", {"JobFlowId": "", "InstanceGroups": []}),
        ("ModifyCluster", {"ClusterId": "", "StepConcurrencyLevel": 2}),
        ("PutAutoTerminationPolicy", {"ClusterId": "", "AutoTerminationPolicy": {"IdleTimeout": 60}}),
        ("SetKeepJobFlowAliveWhenNoSteps", {"JobFlowIds": [""], "KeepJobFlowAliveWhenNoSteps": False}),
        ("StartSession", {"ClusterId": ""}),
    ],
)
def test_what_only_ours_can_is_refused(play: ClusterPlay, operation: str, request_: dict[str, Any]) -> None:
    cluster_id = running(play)
    asked = {
        name: value if value not in ("", [""]) else type(value)(cluster_id) if value == "" else [cluster_id]
        for name, value in request_.items()
    }
    code, message = play.refused(operation, **asked)
    assert code == "ValidationException"
    assert "is from outside" in message


def test_permissions(play: ClusterPlay) -> None:
    reader = play.emr.user("reader", statement(["elasticmapreduce:RunJobFlow", "elasticmapreduce:TerminateJobFlows"]))
    request = {"Name": "n", "Type": "JUPYTER_GATEWAY", "Url": URL}
    with pytest.raises(AccessDenied, match="RegisterCluster"):
        play.emr.call("RegisterCluster", reader, **request)
    tagged = statement("elasticmapreduce:RegisterCluster", StringEquals={"aws:RequestTag/team": "a"})
    owner = statement("elasticmapreduce:DeregisterCluster", StringEquals={"aws:ResourceTag/team": "a"})
    member = play.emr.user("member", tagged, owner)
    with pytest.raises(AccessDenied):
        play.emr.call("RegisterCluster", member, **request)
    own = play.emr.call("RegisterCluster", member, **request, Tags=[{"Key": "team", "Value": "a"}])["ClusterId"]
    other = register(play)
    with pytest.raises(AccessDenied, match="DeregisterCluster"):
        play.emr.call("DeregisterCluster", member, ClusterId=other)
    play.emr.call("DeregisterCluster", member, ClusterId=own)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://Jupyter.Example.com/", "https://jupyter.example.com"),
        ("http://10.1.2.3:8888/user/me/api", "http://10.1.2.3:8888/user/me"),
        (" https://[2001:db8::1]:8443/a/b/ ", "https://[2001:db8::1]:8443/a/b"),
    ],
)
def test_urls(url: str, plain: str) -> None:
    assert gateway_url(url) == plain


@pytest.mark.parametrize(
    "url",
    [
        "jupyter.example.com",
        "ftp://jupyter.example.com",
        "https://",
        "https://user:secret@jupyter.example.com",
        "https://jupyter.example.com/?token=secret",
        "https://jupyter.example.com/#secret",
        "https://jupyter.example.com:99999/",
        "https://jupyter.example.com:0/",
        "https://jupyter.example.com/a/../b",
        "https://jupyter.example.com/a b",
        "https://jupyter.example.com/a\r\nX: y",
        "https://exa mple.com/",
        "https://[::1/",
    ],
)
def test_no_urls(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        gateway_url(url)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.31.0.9:18888",
        "http://localhost:8888",
        "http://a.localhost:8888",
        "http://[::1]:8888",
        "http://[::ffff:127.0.0.1]:8888",
        "http://0.0.0.0:8888",
        "http://169.254.169.254",
    ],
)
def test_this_machine_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="outside_local_targets"):
        check_target(url, ())


def test_what_an_administrator_has_listed_is_allowed() -> None:
    check_target("http://localhost:8888", ("127.0.0.1:8888",))
    check_target("http://10.1.2.3:8888", ())
    with pytest.raises(InvalidRequest):
        check_target("http://127.0.0.1:8080", ("127.0.0.1:8888",))


def test_credentials() -> None:
    assert authorization("t", None, None) == ("TOKEN", "token t")
    assert authorization(None, "u", "p") == ("BASIC", "Basic dTpw")
    assert authorization(None, None, None) == ("NONE", "")
    for given in (("t", "u", "p"), ("a\r\nb", None, None), (None, "u", None), (None, "a:b", "p"), (None, None, "p")):
        with pytest.raises(InvalidRequest):
            authorization(*given)


CONNECT_URL = "sc://Spark.example.com:15003/;use_ssl=true;token=their-secret;user_id=ana;x-tenant=a%20b"


def node_of(play: ClusterPlay, cluster_id: str, program: str) -> dict[str, Any]:
    spec = play.runtime.workloads[play.workload(cluster_id, program)].spec
    assert isinstance(spec, ProcessSpec)
    (text,) = spec.files.values()
    return dict(json.loads(text))


def test_spark_connect_has_kernels_of_ours(play: ClusterPlay) -> None:
    cluster_id = running(play, Type="SPARK_CONNECT", Url=CONNECT_URL, Token=None)
    shown = {"Type": "SPARK_CONNECT", "Url": "sc://spark.example.com:15003/;use_ssl=true;user_id=ana"}
    found = play.describe(cluster_id)
    assert found["OutsideCluster"] == shown | {"AuthenticationType": "TOKEN"}
    assert "their-secret" not in json.dumps(found, default=str)
    names = ("connect-door", "gateway", "kernels")
    assert sorted(play.running()) == sorted(play.workload(cluster_id, name) for name in names)
    door = node_of(play, cluster_id, "connect-door")
    assert (door["kind"], door["url"]) == ("SPARK_CONNECT", "https://spark.example.com:15003")
    assert "their-secret" not in json.dumps(door)
    kernels = node_of(play, cluster_id, "kernels")
    assert (kernels["outside"], kernels["connect_token"]) == ("SPARK_CONNECT", "their-secret")
    assert kernels["connect_authority"] == "spark.example.com:15003"
    assert kernels["connect_parameters"] == "user_id=ana;x-tenant=a%20b"
    assert kernels["secret"] == kernels["jars_dir"] == ""
    play.emr.call("DeregisterCluster", ClusterId=cluster_id)
    # What the kernels end over there they reach through it.
    while len(play.running()) > 1:
        play.turn(cluster_id)
        assert play.workload(cluster_id, "connect-door") in play.running()
    assert play.settle(cluster_id)[-1] == "TERMINATED"
    assert play.nothing_left()


def test_livys_credentials_are_the_doors_alone(play: ClusterPlay) -> None:
    cluster_id = running(play, Type="LIVY", Url="https://livy.example.com:8998/")
    names = ("livy-door", "gateway", "kernels")
    assert sorted(play.running()) == sorted(play.workload(cluster_id, name) for name in names)
    door = node_of(play, cluster_id, "livy-door")
    assert (door["kind"], door["url"]) == ("LIVY", "https://livy.example.com:8998")
    assert (door["authorization"], door["mark"]) == ("Bearer their-secret", f"emr-studio-{cluster_id}-")
    for name in names[1:]:
        told = node_of(play, cluster_id, name)
        assert told["outside"] == "LIVY"
        assert "their-secret" not in json.dumps(told)


def test_kernels_of_the_outside_take_memory(play: ClusterPlay) -> None:
    play.probe.memory = 10
    cluster_id = register(play, Type="LIVY")
    assert play.settle(cluster_id)[-1] == "TERMINATED_WITH_ERRORS"
    assert "too little memory" in play.describe(cluster_id)["Status"]["StateChangeReason"]["Message"]


@pytest.mark.parametrize(
    ("url", "token", "shown", "dialled"),
    [
        ("sc://S.example.com", None, "sc://s.example.com:15002", "http://s.example.com:15002"),
        ("sc://s:1/;use_ssl=true", None, "sc://s:1/;use_ssl=true", "https://s:1"),
        ("sc://s:1/;token=t", None, "sc://s:1/;use_ssl=true", "https://s:1"),
        ("sc://s:1", "a;b=c", "sc://s:1/;use_ssl=true", "https://s:1"),
        ("sc://localhost:1/;token=t", None, "sc://localhost:1", "http://localhost:1"),
        ("sc://[2001:db8::1]:1/;user_id=ana", None, "sc://[2001:db8::1]:1/;user_id=ana", "http://[2001:db8::1]:1"),
    ],
)
def test_connection_strings(url: str, token: str | None, shown: str, dialled: str) -> None:
    found = target(Kind.SPARK_CONNECT, url, token, None, None)
    assert found.url == shown
    assert connection(found.url, found.proof).url == dialled
    if token:
        assert connection(found.url, found.proof).token == token


@pytest.mark.parametrize(
    "url",
    [
        "https://s.example.com",
        "sc://",
        "sc://s/base",
        "sc://u:secret@s",
        "sc://s/;token",
        "sc://s/;token=secret;token=secret",
        "sc://s/;session_id=secret",
        "sc://s/;authorization=secret",
        "sc://s/;x=secret%0d%0aY: z",
        "sc://s/?token=secret",
        "sc://s:0",
    ],
)
def test_no_connection_strings(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        target(Kind.SPARK_CONNECT, url, None, None, None)
    assert "secret" not in caught.value.message


def test_what_spark_connect_does_not_take() -> None:
    for given in ((None, "u", "p"), ("t", "u", "p"), ("a b", None, None)):
        with pytest.raises(InvalidRequest):
            target(Kind.SPARK_CONNECT, "sc://s", *given)
    with pytest.raises(InvalidRequest, match="mutually exclusive"):
        target(Kind.SPARK_CONNECT, "sc://s/;token=t", "t", None, None)
    with pytest.raises(InvalidRequest, match="outside_local_targets"):
        check_target(target(Kind.SPARK_CONNECT, "sc://127.0.0.1", None, None, None).url, ())
