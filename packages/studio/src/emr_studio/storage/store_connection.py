"""Connections of the control plane to the store that are kept between requests."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import httpx

from emr_studio.aws.errors import Unavailable
from emr_studio.settings import Settings
from emr_studio.storage.store import store_client


class StoreConnection:
    """Reads what buckets have. Safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def get(self, bucket: str, query: Mapping[str, str]) -> httpx.Response:
        """The store's answer, whatever its status.

        Raises:
            Unavailable: there is none.
        """
        try:
            client = self._open()
            try:
                return client.get(f"/{bucket}", params=query)
            except httpx.TransportError:  # the store was started again: its old connections are of no use
                return client.get(f"/{bucket}", params=query)
        except (OSError, httpx.HTTPError) as error:
            raise Unavailable("The store does not answer. Try again.") from error

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = store_client(self._settings, timeout=60)
            return self._client

    def close(self) -> None:
        """Close them; the next request opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
