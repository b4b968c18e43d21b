"""`%%help`: what there is."""

from __future__ import annotations

from typing import Any

from IPython.display import display

ROWS = (
    ("%%sql [-o VAR] [-q] [-n ROWS]", "SQL on Spark. -o keeps the rows as a pandas DataFrame, -q shows nothing."),
    ("%%display DF [-n ROWS]", "A DataFrame, of Spark or pandas, as a table and as charts."),
    ("%matplot plt", "Show the plot that matplotlib has drawn."),
    ("%%configure [-f]", "Settings of the Spark session, as JSON; -f: end the one that is used."),
    ("%%info", "The Spark session, and a link to its UI."),
    ("%%sh", "Shell commands on the cluster's primary node, spark-submit among them."),
    ("%%local, %%pyspark", "Python, as any cell here."),
    ("%%scalaspark", "Scala on the same Spark session (kernel PySpark (classic)); views are shared."),
    ("%%rspark", "R on the same Spark session; views are shared."),
    ("%pip install PACKAGE", "A library for this notebook and its executors."),
    ("%generate_s3_download_url URL [--expires-in S]", "A link to a file in S3, for whoever has it."),
    ("%mount_workspace_dir PATH, %umount_workspace_dir", "The Workspace's files, read-only, to import from."),
    (
        "%execute_notebook PATH [--timeout S]",
        "Another notebook of the Workspace, run to its end in a kernel of its own.",
    ),
    ("%lsmagic", "All magics, IPython's too."),
)


def install(shell: Any) -> None:
    """Give it to a shell."""
    shell.register_magic_function(_show, "line_cell", "help")


def _show(_line: str = "", _cell: str = "") -> None:
    """What magics there are."""
    width = max(len(name) for name, _ in ROWS)
    plain = "\n".join(f"{name:{width}}  {what}" for name, what in ROWS)
    rows = "".join(f"<tr><td><code>{name}</code></td><td>{what}</td></tr>" for name, what in ROWS)
    display({"text/plain": plain, "text/html": f"<table>{rows}</table>"}, raw=True)
