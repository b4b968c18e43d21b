"""What the attack tests share: it is there once, as the S3 that is attacked is."""

from __future__ import annotations

import pytest

from tests.support.s3_attack import BUCKET, SECRET, Scene, policy_of
from tests.support.s3_rig import Rig


@pytest.fixture(scope="session")
def scene(s3: Rig) -> Scene:
    s3.client().create_bucket(Bucket=BUCKET)
    found = Scene(s3, s3.user("attack-alice", policy_of("alice")), s3.user("attack-bob", policy_of("bob")))
    s3.client(found.bob).put_object(Bucket=BUCKET, Key="bob/secret", Body=SECRET)
    s3.client(found.alice).put_object(Bucket=BUCKET, Key="alice/own", Body=b"hers")
    return found
