"""Tables of the storage room."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from emr_studio.db import Base


class Bucket(Base):
    """Whose a bucket is: the store itself knows no accounts. Names are unique over all accounts."""

    __tablename__ = "storage_bucket"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(12), index=True)
    region: Mapped[str] = mapped_column(String(32))
    created: Mapped[dt.datetime]
