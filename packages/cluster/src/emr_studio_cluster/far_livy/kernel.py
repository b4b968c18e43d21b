"""Jupyter's kernel protocol over a Livy elsewhere: no code of a cell runs on this machine.

A kernel is a session of the kind that its name says. The first line of a cell may name another language of the same
session (`%%sql`, `%%pyspark`, `%%spark`), as with sparkmagic, or be `%%configure [-f]`, `%%info`, `%%help`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from emr_studio_cluster.cells import CellKernel
from emr_studio_cluster.far_livy.client import FarSession, Livy, LivyError, Opened
from emr_studio_cluster.far_livy.outputs import shown
from emr_studio_cluster.far_livy.progress import Progress
from emr_studio_cluster.replies import completion, word_before
from emr_studio_cluster.session import node_config

PYSPARK, SPARK, SQL = "pyspark", "spark", "sql"
_LANGUAGES = {"sql": SQL, "pyspark": PYSPARK, "spark": SPARK, "scalaspark": SPARK}
_MAGIC = re.compile(r"\s*%%(?P<name>\w+)\b(?P<rest>[^\n]*)(?:\n|$)")
_INTERRUPTED = "The statement was interrupted."
_OURS = ("kind", "name", "heartbeatTimeoutInSecond", "proxyUser")
_HELP = """\
%%sql, %%pyspark, %%spark    the cell in that language, in the same session
%%configure [-f] {"conf": …}   what the session has: members of Livy's POST /sessions; -f ends one that is there
%%info                       the session
"""
_MIMES = {
    PYSPARK: ("python", "text/x-python", ".py"),
    SPARK: ("scala", "text/x-scala", ".scala"),
    SQL: ("sql", "text/x-sql", ".sql"),
}


class FarLivyKernel(CellKernel):
    """One kernel; its subclasses name the kind."""

    kind = PYSPARK
    implementation = "emr-studio-livy"

    def __init__(self, **arguments: Any) -> None:
        """The session is made by the first cell: it costs the outside something."""
        super().__init__(**arguments)
        config = node_config()
        self._url = config.outside_url
        self._session = FarSession(Livy(config), config.cluster_id, self.kind)

    async def do_execute(
        self, code: str, silent: bool, store_history: bool = True, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Run a cell."""
        try:
            output = self._do(code, silent)
        except KeyboardInterrupt:
            return self._failed("KeyboardInterrupt", _INTERRUPTED, [f"KeyboardInterrupt: {_INTERRUPTED}"])
        except LivyError as error:
            return self._failed(type(error).__name__, str(error).partition("\n")[0], str(error).splitlines())
        if output.get("status") == "error":
            lines = [str(line).rstrip("\n") for line in output.get("traceback") or []]
            name, value = str(output.get("ename", "Error")), str(output.get("evalue", ""))
            return self._failed(name, value, lines or [f"{name}: {value}"])
        if not silent:
            self._show(output.get("data") or {})
        return self._succeeded()

    def _do(self, code: str, silent: bool) -> dict[str, Any]:
        """The `output` of a cell, as Livy has it."""
        kind, body = self.kind, code
        magic = _MAGIC.match(code)
        if magic is not None:
            name, rest, body = magic["name"], magic["rest"], code[magic.end() :]
            own = {"configure": self._configure, "info": self._info, "help": lambda *_: _HELP}.get(name)
            if own is not None:
                self._print(own(rest, body))
                return {}
            if name not in _LANGUAGES:
                raise LivyError(f"%%{name} is not known here. A cell may begin with:\n{_HELP}")
            kind = _LANGUAGES[name]
        return self._run(body, kind, silent) if body.strip() else {}

    def _run(self, code: str, kind: str, silent: bool) -> dict[str, Any]:
        opened = self._session.open()
        if opened is Opened.AGAIN:
            self._print("The Livy session had ended; this is a new one, without the old one's variables.\n", "stderr")
        if opened is not Opened.THERE:
            self._print(f"Livy session {self._facts()}\n", "stderr")
        progress = Progress(self._update)
        try:
            return self._session.run(code, kind, (lambda _done: None) if silent else progress.see)
        finally:
            progress.end()

    def _facts(self) -> str:
        found = self._session.look()
        told = (str(found["id"]), self.kind, found.get("appId"), (found.get("appInfo") or {}).get("sparkUiUrl"))
        return " · ".join(part for part in told if part)

    def _info(self, _rest: str, _body: str) -> str:
        session = self._facts() if self._session.exists else "none yet"
        return f"Livy: {self._url}\nSession: {session}\n"

    def _configure(self, rest: str, body: str) -> str:
        """Take other settings; they are Livy's to judge, with the next session."""
        try:
            wanted = json.loads(body or "{}")
        except ValueError as error:
            raise LivyError(f"%%configure takes a JSON object: {error}") from error
        if not isinstance(wanted, dict) or set(wanted) & set(_OURS):
            raise LivyError(f"%%configure takes a JSON object without {', '.join(_OURS)}.")
        if self._session.exists and "-f" not in rest.split():
            raise LivyError(
                "A session has already been started. If you intend to recreate the session with new configurations, "
                "please include the -f argument."
            )
        self._session.end()
        self._session.settings = wanted
        return "The next cell starts a session with these settings.\n"

    def _show(self, data: dict[str, Any]) -> None:
        text, bundle = shown(data)
        if text:
            self._print(text)
        if bundle:
            self._display(bundle)

    def _update(self, data: dict[str, Any], display: str, update: bool) -> None:
        content = {"data": data, "metadata": {}, "transient": {"display_id": display}}
        self.send_response(self.iopub_socket, "update_display_data" if update else "display_data", content)

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """What Livy knows of the place."""
        word = word_before(code, cursor_pos)
        matches = self._session.complete(code, cursor_pos) if self._session.exists else []
        # Some name the whole, some only what follows the last dot.
        if not all(name.startswith(word) for name in matches):
            word = word.rpartition(".")[2]
        return completion(matches, cursor_pos - len(word), cursor_pos)

    def end(self) -> None:
        """End the session: the kernel ends."""
        self._session.end()

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """A restarted kernel begins with a session of its own."""
        self.end()
        return {"status": "ok", "restart": restart}


def class_of(kind: str) -> type[FarLivyKernel]:
    """The kernel's class for sessions of a kind."""
    language, mime, extension = _MIMES[kind]
    told = {"name": language, "mimetype": mime, "file_extension": extension, "pygments_lexer": language}
    members = {"kind": kind, "language_info": told, "banner": f"{kind} in a session of Livy"}
    return type("FarLivyKernel", (FarLivyKernel,), members)
