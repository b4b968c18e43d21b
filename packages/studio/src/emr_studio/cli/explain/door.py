"""The API as the caller: her AWS credentials, this studio's endpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import json_decode_policies

from emr_studio.cli import installation
from emr_studio.cli.explain import NotExplained

PROFILE = "emr-studio"
_DENIED = ("AccessDenied", "AccessDeniedException")


class Door:
    """Clients of the studio's services, made when they are first used."""

    def __init__(self, profile: str | None, data_dir: Path | None) -> None:
        self._session = boto3.Session(profile_name=profile or _default_profile())
        # Policies as they are written: the simulator names statements by line and column.
        self._session.events.unregister("after-call.iam", json_decode_policies)
        self._endpoint = _endpoint(self._session, data_dir)
        self._clients: dict[str, Any] = {}

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation.

        Raises:
            Refused: the service refused it; `denied` if IAM did.
            NotExplained: no credentials, or nobody answers.
        """
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**parameters)
        except ClientError as error:
            raise Refused(error.response["Error"]["Code"], error.response["Error"]["Message"]) from None
        except BotoCoreError as error:
            raise NotExplained(str(error)) from None
        return answer

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 2})
            region = self._session.region_name or "us-east-1"
            self._clients[service] = self._session.client(
                service, region_name=region, endpoint_url=self._endpoint, config=config
            )
        return self._clients[service]


class Refused(NotExplained):
    """A service said no."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.denied = code in _DENIED


def _default_profile() -> str | None:
    """The caller's own choice by AWS's variables; else the profile that `configure-aws` wrote, if it did."""
    if os.environ.get("AWS_PROFILE") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    return PROFILE if PROFILE in boto3.Session().available_profiles else None


def _endpoint(session: boto3.Session, data_dir: Path | None) -> str:
    """The studio's address: as AWS's tools are configured, else of the installation on this machine."""
    configured = session._session.get_scoped_config().get("endpoint_url")
    if data_dir is None and (found := os.environ.get("AWS_ENDPOINT_URL") or configured):
        return str(found)
    try:
        studio = installation.read_studio_json(installation.load(data_dir))
    except installation.NotInstalled as error:
        raise NotExplained(str(error)) from None
    if not studio:
        raise NotExplained("The studio was never started: emr-studio up")
    return str(studio["endpoint_url"])
