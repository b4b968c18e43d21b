"""Things that requests name by their ARN: MFA devices, SAML and OIDC providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.iam.errors import NoSuchEntity
from emr_studio.iam.model import MfaDevice, OidcProvider, SamlProvider
from emr_studio.iam.operations import common, tags

Row = TypeVar("Row", MfaDevice, SamlProvider, OidcProvider)


class ByArn(Generic[Row]):
    """One kind of such things.

    Args:
        table: its rows, keyed by ARN.
        member: the request's member with the ARN (`SerialNumber`).
        missing: AWS's words for one that is not there, `{arn}` in it.
    """

    def __init__(self, table: type[Row], member: str, missing: str) -> None:
        self._table: type[Row] = table
        self._member = member
        self._missing = missing

    def find(self, context: Context, request: Request) -> Row | None:
        """The caller's own; another account's is like one that is not there."""
        row = context.session.get(self._table, str(request[self._member]))
        return row if row is not None and row.account_id == context.account_id else None

    def get(self, context: Context, request: Request) -> Row:
        """Raises NoSuchEntity."""
        row = self.find(context, request)
        if row is None:
            raise NoSuchEntity(self._missing.format(arn=request[self._member]))
        return row

    def checks(self, action: str, with_tags: bool = False) -> ChecksFunction:
        """Checks of `iam:<action>` on it; `with_tags`: the request's tags are part of the context."""

        def checks(context: Context, request: Request) -> Iterable[Check]:
            row = self.find(context, request)
            supplied: dict[str, ContextValue] = common.resource_tag_context(row.tags) if row else {}
            if with_tags:
                supplied |= common.request_tag_context(request)
            yield Check(f"iam:{action}", str(request[self._member]), supplied)

        return checks

    def register_tags(self, word: str) -> None:
        """Register the operations of its tags."""
        tags.register(tags.Tagged(word, self.get, self.checks))


def creation_checks(action: str, arn_of: Callable[[Context, Request], str]) -> ChecksFunction:
    """Checks of `iam:<action>` on what is to be made."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        yield Check(f"iam:{action}", arn_of(context, request), common.request_tag_context(request))

    return checks


def with_tags(shape: dict[str, Any], row: MfaDevice | SamlProvider | OidcProvider) -> dict[str, Any]:
    """Add the tags, if there are any."""
    return {**shape, "Tags": common.tag_list(row.tags)} if row.tags else shape
