"""Magics of the Python kernels, by the names that users of EMR know (`emr-notebooks-magics`, `sparkmagic`).

    %%sql [-o VAR] [-q] [-n ROWS]   %%display DF    %matplot plt       what is in Spark, as table and charts
    %%configure [-f]                %%info          %%help             the Spark session
    %%local, %%pyspark              %%scalaspark                       the cell as it is; Scala on the same session
    %%rspark                                                           R on the same session
    %%sh                                                               IPython's own: on the cluster's primary node
    %generate_s3_download_url       %mount_workspace_dir, %umount_workspace_dir       %execute_notebook

`forbidden` says what is blocked.
"""

from __future__ import annotations

from typing import Any

from emr_studio_cluster.magics import (
    downloads,
    execute_notebook,
    first_line,
    forbidden,
    help_text,
    queries,
    r_cell,
    scala_cell,
    sessions,
    workspace_folder,
)


def install(shell: Any, keeper: Any = None) -> None:
    """Give them to a shell; `keeper` (`session.SessionKeeper`): of its Spark, None in a kernel without one."""
    forbidden.install(shell)
    downloads.install(shell)
    workspace_folder.install(shell)
    execute_notebook.install(shell)
    first_line.install(shell)
    help_text.install(shell)
    queries.install(shell, keeper)
    scala_cell.install(shell, keeper)
    r_cell.install(shell, keeper)
    sessions.install(shell, keeper)
