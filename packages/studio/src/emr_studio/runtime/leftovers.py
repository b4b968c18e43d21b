"""The host agent's helpers, where no agent is left that ends them."""

from __future__ import annotations

from emr_studio.runtime.records import RecordStore
from emr_studio.runtime.relays import RelayControl
from emr_studio.runtime.zygotes import Zygote
from emr_studio.settings import Settings


def end_unused_helpers(settings: Settings) -> None:
    """End zygote and relay, unless a workload runs that an agent to come takes over with them."""
    if not any(record.active for record in RecordStore(settings.agent_dir).load()):
        Zygote(settings).stop()
        RelayControl(settings).stop()
