"""One step: `python -m emr_studio_cluster.step FOLDER`.

command-runner.jar     Args are a command of the primary node: spark-submit, spark-example, bash …
script-runner.jar      the first of Args is a script, in S3 or on the node
s3://bucket/some.jar   a program for `hadoop jar`: MainClass, or that of its manifest
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from emr_studio_cluster.tasks import STDERR, Task, TaskFailed, download, finish, last_lines, read_task, run, say

_COMMAND_RUNNER, _SCRIPT_RUNNER = "command-runner.jar", "script-runner.jar"
# The line of a Java or Python trace that says what happened.
_CAUSE = re.compile(r"(?:Exception in thread .*|Caused by: .*|[\w.]*(?:Error|Exception)\b.*)")


def main(arguments: Sequence[str]) -> int:
    """Run the step whose folder is the argument."""
    os.umask(0o077)
    task = read_task(Path(arguments[0]))
    try:
        command = command_of(task)
    except TaskFailed as error:
        say(task, str(error))
        return finish(task, 1, message=str(error))
    code = run(task, command)
    if code == 0:
        return finish(task, 0)
    return finish(task, code, reason="Unknown Error.", message=cause(last_lines(task, STDERR), code))


def command_of(task: Task) -> list[str]:
    """The command of a step.

    Raises:
        TaskFailed: what it needs cannot be had.
    """
    jar, arguments = str(task.told["jar"]), [str(value) for value in task.told.get("arguments") or ()]
    kind = jar.rpartition("/")[2]
    if kind == _COMMAND_RUNNER:
        return arguments
    if kind == _SCRIPT_RUNNER:
        return [*script_command(task, arguments[0], "script"), *arguments[1:]]
    main_class = [str(task.told["main_class"])] if task.told.get("main_class") else []
    properties = [f"-D{key}={value}" for key, value in (task.told.get("properties") or {}).items()]
    return ["hadoop", "jar", str(download(task, jar, kind or "step.jar")), *main_class, *properties, *arguments]


def script_command(task: Task, path: str, name: str) -> list[str]:
    """How to run a script that lies in S3 or on the node.

    Raises:
        TaskFailed: it is not there.
    """
    local = Path(path.removeprefix("file://")) if not path.startswith("s3") else download(task, path, name)
    if not local.is_file():
        raise TaskFailed(f"{path} is not there")
    with local.open("rb") as file:
        has_interpreter = file.read(2) == b"#!"
    if has_interpreter and local.is_relative_to(task.folder):
        local.chmod(0o700)
        return [str(local)]
    return ["bash", str(local)]


def cause(lines: Sequence[str], code: int) -> str:
    """The line that says what happened, as EMR shows it; else the last one."""
    named = [line for line in lines if _CAUSE.match(line)]
    return (named or list(lines) or [f"The step ended with exit code {code}."])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
