"""A whole studio whose objects are in an S3 of somebody else's: the main job, and where its files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.outside_store import ACCESS_KEY, SECRET, client_of, outside_store
from tests.support.studio import command, running, until


def test_the_main_job_with_an_s3_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with outside_store(tmp_path / "outside") as url:
        data = tmp_path / "studio"
        data.mkdir()
        keys = tmp_path / "keys.json"
        keys.write_text(json.dumps({"access_key_id": ACCESS_KEY, "secret_access_key": SECRET}))
        (data / "emr-studio.toml").write_text(f's3_endpoint = "{url}"\ns3_credentials_file = "{keys}"\n')
        with running(data) as studio:
            assert "store" not in {part["name"] for part in studio.status()["parts"]}
            done = command("demo", "--data-dir", str(data), timeout=1100, check=False)
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{studio.logs()}"
            # What users see through the door is what lies there.
            location = studio.json["s3"]["default_location"].removeprefix("s3://")
            bucket, _, prefix = location.partition("/")

            def listed(s3: Any) -> list[tuple[str, str]]:
                found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
                return [(item["Key"], item["ETag"]) for item in found]

            # What a cluster's end still uploads may come between two lists.
            until("both show the same", lambda: listed(client_of(url)) == listed(studio.client("s3")))
            names = [name for name, _ in listed(client_of(url))]
            assert any(name.endswith(".ipynb") for name in names), names
