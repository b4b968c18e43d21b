"""Our API alone on a port, for `bench/iam.py`: `plain_api.py DATA_DIR PORT on|off`.

`off` composes it with an authorizer that asks nobody. The product has no such switch.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import uvicorn

from emr_studio import app
from emr_studio.aws.context import Check, Context
from emr_studio.iam import identity
from emr_studio.settings import Settings


class Unchecked(identity.IamAuthorizer):
    """Allows everything."""

    def authorize(self, context: Context, check: Check) -> None:
        return None


def main(data_dir: str, port: str, authorisation: str) -> None:
    if authorisation == "off":
        identity.IamAuthorizer = Unchecked  # type: ignore[misc]  # what `build_api` composes
    plane = app.build_api(Settings(data_dir=Path(data_dir)))
    # As `run_api` does.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    config = uvicorn.Config(
        plane.application, host="127.0.0.1", port=int(port), access_log=False, lifespan="off", log_level="warning"
    )
    uvicorn.Server(config).run()


main(*sys.argv[1:])
