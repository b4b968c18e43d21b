"""Tables of the storage room."""

from __future__ import annotations

import datetime as dt
from enum import IntFlag

from sqlalchemy import String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column

from emr_studio.db import Base

ENFORCED = "BucketOwnerEnforced"
PREFERRED = "BucketOwnerPreferred"


class PublicAccess(IntFlag):
    """What a bucket's public access block forbids (PublicAccessBlockConfiguration)."""

    BLOCK_ACLS = 1
    IGNORE_ACLS = 2
    BLOCK_POLICY = 4
    RESTRICT = 8

    @classmethod
    def everything(cls) -> PublicAccess:
        """What S3 gives each new bucket (since April 2023)."""
        return cls.BLOCK_ACLS | cls.IGNORE_ACLS | cls.BLOCK_POLICY | cls.RESTRICT


_ALL = int(PublicAccess.everything())


class Bucket(Base):
    """Whose a bucket is, and who else may use it: the store itself knows neither accounts nor policies.

    Names are unique over all accounts. What the store does itself (versioning, tags, CORS, lifecycle,
    object lock, default encryption with `AES256`) is kept there.
    """

    __tablename__ = "storage_bucket"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), index=True)
    region: Mapped[str] = mapped_column(String(32))
    created: Mapped[dt.datetime]
    policy: Mapped[str | None] = mapped_column(Text)
    """The bucket policy, with principals as their unique ids."""
    policy_is_public: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the policy lets everybody in, as S3 judges it (GetBucketPolicyStatus)."""
    public_access: Mapped[int | None] = mapped_column(default=_ALL, server_default=str(_ALL))
    """The public access block, a `PublicAccess`; None: it was deleted."""
    ownership: Mapped[str | None] = mapped_column(String(32), default=ENFORCED, server_default=ENFORCED)
    """Object ownership; None: the controls were deleted."""
    default_key: Mapped[str | None] = mapped_column(String(2048))
    """Default encryption with KMS: the key as it was named, empty for AWS's own; None: the default is the store's."""
    default_bucket_key: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether that is by a bucket key."""
    may_keep_versions: Mapped[bool] = mapped_column(default=True, server_default=true())
    """False until somebody asks for versions, or for object lock, which needs them. The store knows whether it does."""

    def forbids(self, what: PublicAccess) -> bool:
        """True if the public access block forbids it."""
        return bool((self.public_access or 0) & what)
