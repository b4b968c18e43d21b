"""Stock S3 clients against the one door: what each does in `tests/support/s3_play`, seen act by act.

The clients run in interpreters of their own (oldest and newest versions do not go together), two at a
time; a test waits for its client and reads how its act went.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.s3_play.play import MANY
from tests.support.s3_rig import REGION, Rig, clean_environment

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "emr-8.0.0"
JARS = ROOT / ".cache" / "jars" / RELEASE
_SECONDS = 600.0


@dataclass(frozen=True)
class Client:
    """Which program does which acts. `command` is what a script runs, where it runs one."""

    name: str
    python: Path
    script: str
    acts: str
    command: Path | None = None
    megabytes: int = 64
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> Path | None:
        """The first file that `deploy/install.sh browser` would have put there."""
        needed = [self.python, *([self.command] if self.command else [])]
        return next((path for path in needed if not path.exists()), None)


_BOTO3 = (
    "upload multipart ranged_read listing versioning tagging conditional_put presigned presigned_post bucket_policy "
    "cors delete_many"
)
_AWS = (
    "upload synchronised multipart ranged_read listing versioning tagging conditional_put presigned bucket_policy cors"
)
_OWN, _CLIENTS = Path(sys.executable), ROOT / ".envs" / "s3clients" / "bin"
CLIENTS = [
    Client("boto3 newest", _OWN, "with_boto3", _BOTO3, megabytes=1024),
    Client("boto3 oldest", ROOT / ".envs" / "s3oldest" / "bin" / "python", "with_boto3", _BOTO3),
    Client("AWS CLI 1", _OWN, "with_aws", _AWS, _OWN.with_name("aws")),
    Client("AWS CLI 2", _OWN, "with_aws", _AWS, Path("/usr/bin/aws")),
    Client(
        "s3fs",
        _CLIENTS / "python",
        "with_s3fs",
        "upload multipart ranged_read listing versioning tagging conditional_put presigned bucket_policy delete_many",
    ),
    Client(
        "obstore",
        _CLIENTS / "python",
        "with_obstore",
        "upload checksummed unsigned_payload multipart ranged_read listing tagging conditional_put presigned denied "
        "delete_many",
    ),
    Client(
        "rclone",
        _OWN,
        "with_rclone",
        "upload multipart streamed ranged_read listing versioning presigned denied",
        _CLIENTS / "rclone",
    ),
    Client(
        "Spark S3A",
        ROOT / ".envs" / RELEASE / "bin" / "python",
        "with_spark",
        "upload multipart ranged_read listing renamed_and_deleted",
        environment={"S3_JARS": ",".join(str(path) for path in sorted(JARS.glob("*.jar")))},
    ),
]
pytestmark = pytest.mark.timeout(900)
CASES = [pytest.param(c, act, id=f"{c.name}-{act}".replace(" ", "-")) for c in CLIENTS for act in c.acts.split()]


@pytest.fixture(scope="module")
def plays(s3: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[dict[str, str]]]]:
    """How every client's acts went: by client, by act, the trace of what went wrong or ''."""
    _make_many(s3)
    bob = s3.user("bob")
    shared = s3.admin.environment() | {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_URL": s3.url,
        "S3_MANY_BUCKET": "many-keys",
        "S3_BOB_KEY": bob.access_key_id,
        "S3_BOB_SECRET": bob.secret_access_key,
        "S3_BOB_ARN": f"arn:aws:iam::{s3.settings.account_id}:user/bob",
        "TMPDIR": str(tmp_path_factory.mktemp("plays")),
    }
    with ThreadPoolExecutor(2) as pool:
        yield {client.name: pool.submit(_play, s3, client, shared) for client in CLIENTS if not client.missing}


def _make_many(s3: Rig) -> None:
    """Ten thousand keys, written to the store itself: what is tested is how they are listed."""
    s3.client().create_bucket(Bucket="many-keys")

    def some(first: int) -> None:
        with s3.bare() as store:
            for number in range(first, MANY, 16):
                store.put(f"/many-keys/many/{number:05}", content=str(number)).raise_for_status()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(some, range(16)))


def _play(s3: Rig, client: Client, shared: Mapping[str, str]) -> dict[str, str]:
    bucket = "of-" + client.name.lower().replace(" ", "-")
    s3.client().create_bucket(Bucket=bucket)
    environment = {**clean_environment(), **shared, **client.environment}
    environment |= {"S3_BUCKET": bucket, "S3_LARGE_MB": str(client.megabytes), "S3_COMMAND": str(client.command)}
    argv = [str(client.python), "-m", f"tests.support.s3_play.{client.script}"]
    done = subprocess.run(
        argv, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    acts = {line["act"]: str(line["error"]) for line in told}
    missing = f"the script ended before it: {done.stderr[-2000:]}"
    return dict.fromkeys(client.acts.split(), missing) | acts


@pytest.mark.parametrize(("client", "act"), CASES)
def test_client(plays: Mapping[str, Future[dict[str, str]]], client: Client, act: str) -> None:
    if client.missing:
        pytest.skip(f"{client.missing} is not there: deploy/install.sh browser")
    if client.script == "with_spark" and not client.environment["S3_JARS"]:
        pytest.skip("Spark's S3 jars were not fetched (no Maven Central at install)")
    error = plays[client.name].result()[act]
    assert not error, error
