"""`%%configure` and `%%info`: the Spark session of this notebook."""

from __future__ import annotations

import html
from typing import Any

from IPython.core.error import UsageError
from IPython.display import display

from emr_studio_cluster.magics import settings
from emr_studio_cluster.magics.queries import NO_SPARK

MIME = "application/vnd.emr-studio.session+json"
"""`{"facts": [[name, value], …], "ui": "live", "history" or ""}`: JupyterLab shows a link to Spark's UI beside it."""
_STARTED = (
    "A session has already been started. If you intend to recreate the session with new configurations, please "
    "include the -f argument."
)


def install(shell: Any, keeper: Any) -> None:
    """Give them to a shell."""
    magics = Sessions(keeper)
    shell.register_magic_function(magics.configure, "line_cell", "configure")
    shell.register_magic_function(magics.info, "line_cell", "info")


class Sessions:
    """Of one shell."""

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    def configure(self, line: str, cell: str | None = None) -> None:
        """Settings of the Spark session, as JSON: %%configure [-f]; -f ends the session that is used already."""
        keeper = self._with_spark()
        words = line.split()
        force = "-f" in words or "--force" in words
        text = cell if cell is not None else " ".join(word for word in words if word not in ("-f", "--force"))
        if not text.strip():
            print(f"Current session configs:\n{settings.shown(keeper.properties) or '    none of its own'}")
            return
        properties = settings.properties_of(text)
        if keeper.is_used and not force:
            raise UsageError(_STARTED)
        keeper.reconfigure(properties)
        print(f"A new Spark session:\n{settings.shown(properties)}")

    def info(self, line: str = "", cell: str | None = None) -> None:
        """The Spark session, and a link to its UI."""
        facts = self._with_spark().facts()
        rows = [[name, value] for name, value in facts.items() if name != "ui"]
        plain = "\n".join(f"{name}: {value}" for name, value in rows)
        cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)
        data = {MIME: {"facts": rows, "ui": facts["ui"]}, "text/html": f"<table>{cells}</table>", "text/plain": plain}
        display(data, raw=True)

    def _with_spark(self) -> Any:
        if self._keeper is None:
            raise UsageError(NO_SPARK)
        return self._keeper
