"""Keys and tokens made of a cluster's secret: for the pages of a Spark that has its own filter before them
(`org.apache.spark.ui.JWSFilter`), and for Livy."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib

from joserfc import jwt
from joserfc.jwk import OctKey

_LIFE = dt.timedelta(minutes=1)


def ui_key(secret: str) -> str:
    """The key (base64url) that goes with the secret that a Spark's processes share."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"spark-ui" + secret.encode()).digest()).decode()


def livy_token(secret: str) -> str:
    """What opens the port of the cluster's Livy."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"livy" + secret.encode()).digest()).decode().rstrip("=")


def token_for(key: str, now: dt.datetime) -> str:
    """A token that the filter takes for a minute, as `Authorization: Bearer`."""
    signing = OctKey.import_key(base64.urlsafe_b64decode(key))
    return jwt.encode({"alg": "HS256"}, {"exp": int((now + _LIFE).timestamp())}, signing)
