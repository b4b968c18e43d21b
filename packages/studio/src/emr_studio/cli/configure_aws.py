"""`configure-aws`: an AWS profile for this studio, so that stock `aws` and boto3 work with `AWS_PROFILE` alone.

What clients honour (tried with botocore 1.44 and AWS CLI 1.46): `endpoint_url`, `region` and `s3` of a
profile by both; `data_path` of a profile by boto3 only, as the AWS CLI sets AWS_DATA_PATH for itself;
`~/.aws/models` by both. So the overlay model is named in the profile and copied to the models folder.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from emr_studio.aws.models import data_path
from emr_studio.settings import Settings

_SECTION = re.compile(r"^\s*\[(?P<name>[^\]]+)\]")
_OVERLAY_MARK = "ListEditors"


def configure_aws(settings: Settings, profile: str = "emr-studio", aws_dir: Path | None = None) -> list[Path]:
    """Write or refresh `profile`; other profiles, and other settings of this one, stay as they are.

    Args:
        settings: the installation; its `studio.json` has the endpoint and the administrator's keys.
        profile: its name; `default` is allowed.
        aws_dir: in place of `~/.aws` (and of AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE).

    Returns:
        The files written.

    Raises:
        FileNotFoundError: if the studio was never started.
    """
    studio = json.loads((settings.data_dir / "studio.json").read_text())
    folder = aws_dir or Path.home() / ".aws"
    config, credentials = folder / "config", folder / "credentials"
    if aws_dir is None:
        config = Path(os.environ.get("AWS_CONFIG_FILE") or config).expanduser()
        credentials = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or credentials).expanduser()
    _update(
        config,
        "default" if profile == "default" else f"profile {profile}",
        {
            "region": studio["region"],
            "endpoint_url": studio["endpoint_url"],
            "data_path": str(data_path()),
            # AWS CLI 1 would fetch a parameter that is a URL (register-cluster) and send what is there.
            "cli_follow_urlparam": "false",
            # A bucket's name is not a name on this machine.
            "s3": "\n    addressing_style = path",
        },
    )
    admin = studio["admin"]
    _update(
        credentials,
        profile,
        {"aws_access_key_id": admin["access_key_id"], "aws_secret_access_key": admin["secret_access_key"]},
    )
    return [config, credentials, *_copy_overlay(folder / "models")]


def _update(path: Path, section: str, values: dict[str, str]) -> None:
    """Set `values` in one section of an INI file, keeping every other line, comments too."""
    lines = path.read_text().splitlines() if path.exists() else []
    start = next((i for i, line in enumerate(lines) if _section_of(line) == section), None)
    if start is None:
        before, own, after = [*lines, ""] if lines and lines[-1].strip() else lines, [], []
    else:
        end = next((i for i in range(start + 1, len(lines)) if _section_of(lines[i]) is not None), len(lines))
        before, own, after = lines[:start], _without(lines[start + 1 : end], values), lines[end:]
        while own and not own[-1].strip():
            own.pop()
        after = ["", *after] if after else []
    written = [
        f"{name} = {value}" if not value.startswith("\n") else f"{name} ={value}" for name, value in values.items()
    ]
    _replace(path, "\n".join([*before, f"[{section}]", *written, *own, *after]) + "\n")


def _section_of(line: str) -> str | None:
    found = _SECTION.match(line)
    return " ".join(found.group("name").split()) if found else None


def _without(lines: list[str], names: dict[str, str]) -> list[str]:
    kept = []
    dropping = False
    for line in lines:
        if line[:1] not in (" ", "\t"):  # an indented line belongs to the setting above it
            dropping = line.partition("=")[0].strip() in names
        if not dropping:
            kept.append(line)
    return kept


def _copy_overlay(models: Path) -> list[Path]:
    """Copy the overlay to where every botocore looks; a file there that is somebody else's is left alone."""
    written = []
    for source in sorted(data_path().rglob("*.json")):
        target = models / source.relative_to(data_path())
        content = source.read_text()
        ours = not target.exists() or _OVERLAY_MARK in target.read_text()
        if ours:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, content, mode=0o644)
            written.append(target)
    return written


def _replace(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a file whole or not at all. A file that is there keeps its mode, a link stays a link."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = path.resolve()
    if target.exists():
        mode = target.stat().st_mode & 0o777
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(content)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
