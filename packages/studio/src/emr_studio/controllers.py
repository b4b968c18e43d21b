"""What all controllers share: waking, leases and the loop. Domains add a `Reconciler` each."""

from __future__ import annotations

from typing import Protocol


class Waker(Protocol):
    """Tells the controllers, in whatever process, that a resource has work waiting."""

    def wake(self, kind: str, resource_id: str) -> None:
        """`kind` is a domain's reconciler (`cluster`, `workspace`). Never raises; a lost wake is
        made up by the controllers' own clock."""
        ...


class Reconciler(Protocol):
    """One domain's controller."""

    kind: str

    def pending(self) -> list[str]:
        """Ids of resources whose status is not their target (or that need a look)."""
        ...

    def reconcile(self, resource_id: str) -> float | None:
        """Take one saved step towards the target; called in a worker thread under a lease.

        Returns seconds until the next look, 0 for at once, None when nothing is left to do.
        Any exception is logged and tried again with jittered, bounded backoff.
        """
        ...
