"""The store as a caller of KMS: it may get and open keys of objects, and nothing else.

It asks on nobody's behalf: whether a person may use a key was asked before her request reached the
store (`keys.objects`).
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from emr_studio.aws.auth import Credential, CredentialStore, InvalidToken
from emr_studio.aws.context import Authorizer, Caller, Check, Context
from emr_studio.aws.errors import AccessDenied
from emr_studio.storage.kms_way import StoreKey

STORE = Caller("", "service", "s3.amazonaws.com", "s3.amazonaws.com", "s3.amazonaws.com")
_ALLOWED = frozenset({"kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"})


class WithStoreKey:
    """A `CredentialStore` that knows the store's access key too."""

    def __init__(self, others: CredentialStore, key: StoreKey) -> None:
        self._others = others
        self._key = key

    def find(self, session: Session, access_key_id: str, session_token: str | None, now: dt.datetime) -> Credential:
        if access_key_id != self._key.access_key_id:
            return self._others.find(session, access_key_id, session_token, now)
        if session_token is not None:
            raise InvalidToken
        return Credential(access_key_id, self._key.secret_access_key, STORE)


class WithStore:
    """An `Authorizer` that knows what the store may do."""

    def __init__(self, others: Authorizer) -> None:
        self._others = others

    def authorize(self, context: Context, check: Check) -> None:
        if context.caller is not STORE:
            self._others.authorize(context, check)
        elif check.action not in _ALLOWED:
            raise AccessDenied(f"{STORE.arn} is not authorized to perform: {check.action}")
