"""The kernel that notebooks for SparkR ask for. These clusters have no R: it opens them, and each cell says so."""

from __future__ import annotations

from typing import Any

from ipykernel.kernelbase import Kernel

from emr_studio_cluster.magics.r_cell import MISSING, OWN_R

NO_R = (
    f"This kernel {MISSING} Choose another one (the kernel's name stands at the top right): PySpark, Spark and SQL "
    f"read the same tables. {OWN_R}"
)


class SparkRKernel(Kernel):  # type: ignore[misc]  # ipykernel is in the cluster's environment alone
    """Jupyter's kernel protocol, and one answer."""

    implementation = "emr-studio-sparkr"
    implementation_version = "1"
    banner = NO_R
    language_info = {  # noqa: RUF012  (Jupyter's own attribute)
        "name": "R",
        "mimetype": "text/x-rsrc",
        "file_extension": ".r",
        "codemirror_mode": "r",
        "pygments_lexer": "r",
    }

    async def do_execute(
        self, code: str, silent: bool, store_history: bool = True, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Say what is missing, and what to do."""
        content = {"ename": "SparkRNotAvailable", "evalue": NO_R, "traceback": [NO_R]}
        if not silent:
            self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}
