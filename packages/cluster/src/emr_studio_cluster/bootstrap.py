"""The bootstrap actions of one node: `python -m emr_studio_cluster.bootstrap FOLDER`.

They run one after the other, as EMR has it, before Spark starts; the first that fails ends it.
Python packages that they install (`sudo pip3 install …`) are found by all programs of the cluster.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emr_studio_cluster.step import script_command
from emr_studio_cluster.tasks import STDERR, STDOUT, Task, TaskFailed, finish, last_lines, read_task, run, say


def main(arguments: Sequence[str]) -> int:
    """Run the actions of the node whose folder is the argument."""
    os.umask(0o077)
    whole = read_task(Path(arguments[0]))
    for number, action in enumerate(whole.told["actions"], start=1):
        task = _task_of(whole, number)
        code = _run(task, action)
        if code != 0:
            words = _last_words(task)
            message = f"bootstrap action {number} returned a non-zero return code ({code})"
            return finish(whole, code, message=f"{message}: {words}" if words else message)
    return finish(whole, 0)


def _last_words(task: Task) -> str:
    """The last line that a failed action wrote."""
    return next(iter(reversed(last_lines(task, STDERR) or last_lines(task, STDOUT))), "")


def _task_of(whole: Task, number: int) -> Task:
    """An action's own folder and logs: `<LogUri>/<cluster>/node/<instance>/bootstrap-actions/<number>/`."""
    folder = whole.folder / str(number)
    folder.mkdir(exist_ok=True)
    uri = f"{whole.log_uri}/{number}" if whole.log_uri else ""
    return replace(whole, folder=folder, told={**whole.told, "log_uri": uri})


def _run(task: Task, action: Mapping[str, Any]) -> int:
    try:
        command = script_command(task, str(action["ScriptPath"]), "script")
    except TaskFailed as error:
        say(task, str(error))
        (task.folder / STDERR).write_text(f"{error}\n")
        return finish(task, 1)
    return finish(task, run(task, [*command, *(str(value) for value in action.get("Args") or ())]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
