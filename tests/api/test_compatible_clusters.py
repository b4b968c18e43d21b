"""Clusters that cannot be attached, through stock boto3: each with its reason, and nothing is attached."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clusters.model import InstanceGroup
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_api import EmrApi, until


@pytest.fixture(scope="module")
def play(api: EmrApi) -> ClusterPlay:
    return ClusterPlay(api.world, api.runtime)


@pytest.fixture(scope="module")
def editor_id(api: EmrApi, emr: Any) -> str:
    studio_id = emr.create_studio(**api.world.studio_request())["StudioId"]
    made = str(emr.create_editor(StudioId=studio_id, Name="work")["EditorId"])
    until(lambda: emr.describe_editor(EditorId=made)["Editor"]["Status"] == "Ready")
    return made


THREE = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 3}]
Case = tuple[int, dict[str, Any], dict[str, Any], str]
"""Last part of the cluster's address, what is unusual about it and its primary node, why it is refused."""


def set_primary(api: EmrApi, cluster_id: str, **columns: Any) -> None:
    with api.world.database.write() as session:
        group = session.query(InstanceGroup).filter_by(cluster_id=cluster_id).one()
        for column, value in columns.items():
            setattr(group, column, value)


@pytest.mark.capability("CL-07")
@pytest.mark.parametrize(
    "case",
    [
        (10, {"release_label": "emr-5.31.0"}, {}, "emr-5.31.0 is too old: it must be at least emr-5.32.0"),
        (11, {"release_label": "emr-6.1.0"}, {}, "emr-6.1.0 is too old: it must be at least emr-6.2.0"),
        (12, {"applications": ["Spark"]}, {}, r"lacks the application\(s\) Livy, JupyterEnterpriseGateway"),
        (13, {"applications": ["Livy", "JupyterEnterpriseGateway"]}, {}, r"lacks the application\(s\) Spark"),
        (14, {"vpc_id": "vpc-0"}, {}, "The cluster is in VPC vpc-0, the Studio in "),
        (15, {"details": {"KerberosAttributes": {"Realm": "X"}}}, {}, "Kerberos"),
        (16, {}, {"requested_count": 3}, "multiple primary nodes"),
        (17, {"release_label": "emr-6.8.0"}, {"instance_type": "m6g.xlarge"}, "Graviton .*at least emr-6.9.0"),
        (18, {"release_label": "emr-5.36.0"}, {"instance_type": "m6g.xlarge"}, "Graviton .*at least emr-5.36.1"),
    ],
)
def test_a_bad_cluster_is_refused(api: EmrApi, emr: Any, editor_id: str, case: Case) -> None:
    number, changes, primary, reason = case
    cluster_id = api.world.cluster(f"127.31.0.{number}", uid=300_001 + number, **changes)
    set_primary(api, cluster_id, **primary)
    with pytest.raises(ClientError, match=f"InvalidRequestException.*{cluster_id}.*{reason}"):
        emr.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    editor = emr.describe_editor(EditorId=editor_id)["Editor"]
    assert (editor["Status"], "ExecutionEngine" in editor) == ("Ready", False)


@pytest.mark.capability("CL-07")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ReleaseLabel": "emr-5.31.0"}, "The supplied release label is invalid"),
        ({"KerberosAttributes": {"Realm": "X", "KdcAdminPassword": "x"}}, "KerberosAttributes"),
        ({"Instances": {"InstanceGroups": THREE}}, "InstanceCount of the MASTER group must be 1"),
    ],
)
def test_most_of_them_are_not_even_made(play: ClusterPlay, emr: Any, change: dict[str, Any], reason: str) -> None:
    request = play.request()
    with pytest.raises(ClientError, match=f"ValidationException.*{reason}"):
        emr.run_job_flow(**request | change)
