"""AWS's own service models, from botocore, with our overlay merged: the schema of everything we serve.

A model is read once and kept. The overlay (`data/emr/2009-03-31/*.sdk-extras.json`) is in the form
that botocore and the AWS CLI merge by themselves once its folder is on their data path.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, TypeAlias

from botocore.loaders import Loader
from botocore.model import ServiceModel

Shape: TypeAlias = Any
"""A botocore shape; which of its classes it is (structure, list, …) is data, not a static type."""

_DATA = Path(__file__).with_name("data")
_lock = threading.Lock()
_models: dict[str, ServiceModel] = {}


def data_path() -> Path:
    """The folder to put on a client's data path (`AWS_DATA_PATH`, or `data_path` of a profile)."""
    return _DATA


def service_model(name: str) -> ServiceModel:
    """Return the model of a service by botocore's name (`emr`, `iam`, `sts`, `emr-containers` …).

    Raises:
        botocore.exceptions.UnknownServiceError: if botocore knows no such service.
    """
    found = _models.get(name)
    if found is None:
        with _lock:
            found = _models.get(name) or ServiceModel(_load(name, "service-2"), service_name=name)
            _models[name] = found
    return found


def paginators(name: str) -> dict[str, dict[str, Any]]:
    """Return the pagination settings of a service's operations, by operation name."""
    pages: dict[str, dict[str, Any]] = _load(name, "paginators-1")["pagination"]
    return pages


def _load(name: str, kind: str) -> dict[str, Any]:
    # Not the default search path: a server must not read models out of somebody's ~/.aws.
    loader = Loader(extra_search_paths=[str(_DATA), Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    model: dict[str, Any] = loader.load_service_model(name, kind)
    return model
