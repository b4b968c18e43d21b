"""What a kernel prints, written into the cell of a shared notebook, as JupyterLab would show it.

Text of a stream is gathered for a moment and written at once: each write is an update that travels
to every tab and to the update store, and a loop prints faster than anybody reads.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import nbformat.v4
from pycrdt import Map, Text

_GATHER_SECONDS = 0.1
_SHORT = 1 << 14
"""Of outputs that are written again because of what is before them: each update travels to every tab, and is kept."""
Displays = dict[str, list[tuple["CellOutputs", int]]]
"""Where each display of a kernel is shown: any later cell may update it."""
_SHOWN = ("stream", "display_data", "execute_result", "error")


class CellOutputs:
    """The outputs of one execution, in the document if there is one, else kept here.

    `cell` is the notebook's cell as Yjs has it (a `pycrdt.Map`), or None.
    """

    def __init__(self, cell: Any = None, displays: Displays | None = None) -> None:
        self._cell = cell
        self._kept: list[dict[str, Any]] = []
        self._displays: Displays = {} if displays is None else displays
        self._stream, self._gathered = "", ""
        self._back = 0
        self._timer: asyncio.TimerHandle | None = None
        self._clear_first = False
        self._own = 0
        """How many outputs were appended here since they were last cleared."""

    def begin(self) -> None:
        """Empty the cell and say that it runs."""
        self._state(None, "running")
        self._clear_first = True
        self._clear_if_asked()

    def waiting(self) -> None:
        """Say that it waits for its turn (JupyterLab shows `[*]`)."""
        self._state(None, "running")

    def end(self, execution_count: int | None) -> None:
        """Write what is still gathered, and the number."""
        self._flush()
        self._state(execution_count, "idle")

    def _state(self, execution_count: int | None, state: str) -> None:
        if self._shared is None:
            return
        with self._cell.doc.transaction():
            self._cell["execution_count"] = execution_count
            self._cell["execution_state"] = state

    @property
    def _shared(self) -> Any:
        """The cell's outputs in the document; None once somebody has deleted the cell."""
        if self._cell is not None and "outputs" not in self._cell:
            self._cell = None
        return None if self._cell is None else self._cell["outputs"]

    def take(self, message: dict[str, Any]) -> None:
        """One message of the kernel's `iopub`."""
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "clear_output":
            self._clear(bool(content.get("wait")))
        elif kind == "update_display_data":
            self._update(content)
        elif kind == "stream":
            self._print(content["name"], content["text"])
        elif kind in _SHOWN:
            self._show(message)

    @property
    def has_more(self) -> bool:
        """Whether outputs are there that are not of this execution's telling: a tab has brought them back."""
        return len(self._all) > self._own

    def to_python(self) -> list[dict[str, Any]]:
        """All outputs so far, as nbformat has them."""
        self._flush()
        shared = self._shared
        return [dict(output) for output in self._kept] if shared is None else list(shared.to_py())

    def fail(self, name: str, text: str) -> None:
        """An error that the kernel could not tell itself."""
        message = {"header": {"msg_type": "error"}, "content": {"ename": name, "evalue": text, "traceback": [text]}}
        self.take(message)

    @property
    def _all(self) -> Any:
        shared = self._shared
        return self._kept if shared is None else shared

    def _append(self, output: dict[str, Any]) -> None:
        shared = self._shared
        self._own += 1
        if shared is None:
            self._kept.append(output)
            return
        shared.append(_shared_form(output))

    def _show(self, message: dict[str, Any]) -> None:
        self._flush()
        self._clear_if_asked()
        self._stream = ""
        display = message["content"].get("transient", {}).get("display_id")
        if display:
            self._displays.setdefault(display, []).append((self, len(self._all)))
        self._append(dict(nbformat.v4.output_from_msg(message)))

    def _update(self, content: dict[str, Any]) -> None:
        """A display that was shown before, here or in another cell, has new data."""
        new = {"data": content["data"], "metadata": content["metadata"]}
        for shown, index in self._displays.get(content.get("transient", {}).get("display_id", ""), []):
            shown._replace(index, new)

    def _replace(self, index: int, new: dict[str, Any]) -> None:
        self._flush()
        outputs = self._all
        if index >= len(outputs):
            return
        if outputs is self._kept:
            outputs[index] = outputs[index] | new
            return
        with self._cell.doc.transaction():
            # Another object in its place: that is the change that JupyterLab listens to. It puts what is new at the
            # end, always, so what comes after is made anew too, unless that is too much.
            after = [output.to_py() for output in list(outputs)[index + 1 :]]
            short = len(json.dumps(after)) <= _SHORT
            made = outputs[index].to_py() | new
            del outputs[index : len(outputs) if short else index + 1]
            for place, output in enumerate([made, *(after if short else [])], index):
                outputs.insert(place, _shared_form(output))

    def _clear(self, wait: bool) -> None:
        self._flush()
        self._clear_first = True
        if not wait:
            self._clear_if_asked()

    def _clear_if_asked(self) -> None:
        if not self._clear_first:
            return
        self._clear_first, self._stream, self._own = False, "", 0
        for shown in self._displays.values():
            shown[:] = [place for place in shown if place[0] is not self]
        outputs = self._all
        if len(outputs):
            outputs.clear()

    def _print(self, name: str, text: str) -> None:
        if name != self._stream or self._clear_first:
            self._flush()
        self._clear_if_asked()
        if name != self._stream:
            self._stream, self._back = name, 0
            self._append({"output_type": "stream", "name": name, "text": ""})
        self._gathered += text
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text, self._gathered = self._gathered, ""
        if not text:
            return
        if not self._ends_with_stream():
            # Somebody has cleared the outputs while it runs.
            self._back = 0
            self._append({"output_type": "stream", "name": self._stream, "text": ""})
        if self._shared is None:
            last = self._kept[-1]
            last["text"], self._back = overprint(last["text"], text, self._back)
        else:
            self._write(self._shared[-1]["text"], text)

    def _ends_with_stream(self) -> bool:
        outputs = self._all
        return bool(len(outputs)) and outputs[-1].get("name") == self._stream

    def _write(self, shown: Any, text: str) -> None:
        if self._back == 0 and not any(control in text for control in "\r\b"):
            shown += text
            return
        before = str(shown)
        after, self._back = overprint(before, text, self._back)
        kept = _common(before, after)
        with self._cell.doc.transaction():
            if kept < len(before):
                # `Text` counts octets.
                del shown[len(before[:kept].encode()) :]
            shown += after[kept:]


def _shared_form(output: dict[str, Any]) -> Map[Any]:
    """An output as the document has it: text of a stream may grow."""
    if output["output_type"] == "stream":
        output = output | {"text": Text(output["text"])}
    return Map(output)


def overprint(shown: str, text: str, back: int = 0) -> tuple[str, int]:
    r"""`shown` after a terminal printed `text`, with `\r` and `\b`; and how far the cursor stands from its end.

    `back` is that distance before.
    """
    line_start = shown.rfind("\n") + 1
    head, line = shown[:line_start], list(shown[line_start:])
    done: list[str] = []
    cursor = max(0, len(line) - back)
    for sign in text:
        if sign == "\n":
            done.append("".join(line) + "\n")
            line, cursor = [], 0
        elif sign == "\r":
            cursor = 0
        elif sign == "\b":
            cursor = max(0, cursor - 1)
        else:
            line[cursor : cursor + 1] = [sign]
            cursor += 1
    return head + "".join(done) + "".join(line), len(line) - cursor


def _common(left: str, right: str) -> int:
    """How many signs both begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
