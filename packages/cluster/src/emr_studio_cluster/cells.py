"""What the kernels that are not IPython's have in common: what they send below a cell, and how they reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipykernel.kernelbase import Kernel


class CellKernel(Kernel):  # type: ignore[misc]  # ipykernel is in the cluster's environment alone
    """Jupyter's kernel protocol, as far as it is the same whatever the language."""

    implementation_version = "1"

    def _print(self, text: str, name: str = "stdout") -> None:
        self.send_response(self.iopub_socket, "stream", {"name": name, "text": text})

    def _display(self, data: dict[str, Any]) -> None:
        """Show data, by MIME type."""
        self.send_response(self.iopub_socket, "display_data", {"data": data, "metadata": {}})

    def _succeeded(self, payload: Sequence[Any] = ()) -> dict[str, Any]:
        """The reply of a cell that did what it should; `payload` is for the page to do."""
        told = {"payload": list(payload), "user_expressions": {}}
        return {"status": "ok", "execution_count": self.execution_count, **told}

    def _failed(self, name: str, value: str, lines: Sequence[str] = (), *, silent: bool = False) -> dict[str, Any]:
        """The reply of a cell that failed, which is shown too; `lines` tell where."""
        content = {"ename": name, "evalue": value, "traceback": list(lines) or [value]}
        if not silent:
            self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}
