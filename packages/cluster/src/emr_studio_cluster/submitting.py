"""What is asked of `spark-submit` and its like, as this cluster can do it.

EMR's `--master yarn` and `--deploy-mode` mean this cluster and are left out; YARN's names of archives and of the Python
are Spark's own (`virtualenv.py`). A program that is to run in the Python of an archive finds it unpacked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from emr_studio_cluster import virtualenv

# Options of spark-submit that take no value.
_FLAGS = ("--verbose", "-v", "--supervise", "--version", "--help", "-h", "--usage-error")
_CONF = ("--conf", "-c")
_ARCHIVES = "--archives"
_FOLDER = "environments"
Option = tuple[str, str | None]


def options_of(arguments: Sequence[str]) -> tuple[list[Option], list[str]]:
    """The options, each with its value, and what follows them: the program and its own arguments.

    >>> options_of(["--conf=a=b", "-v", "x.py", "--name", "y"])
    ([('--conf', 'a=b'), ('-v', None)], ['x.py', '--name', 'y'])
    """
    options: list[Option] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        name, joined, value = rest.pop(0).partition("=")
        if joined:
            options.append((name, value))
        elif _takes_value(name, rest):
            options.append((name, rest.pop(0)))
        else:
            options.append((name, None))
    return options, rest


def _takes_value(name: str, rest: Sequence[str]) -> bool:
    """Short ones are those of spark-sql and spark-shell too, of which some take none."""
    if name in _FLAGS or not rest:
        return False
    return name.startswith("--") or not rest[0].startswith("-")


def _words(options: Sequence[Option]) -> list[str]:
    return [word for name, value in options for word in ((name,) if value is None else (name, value))]


def without_yarn(arguments: Sequence[str]) -> list[str]:
    """Leave out `--master yarn` and `--deploy-mode …`; what follows the program is the program's own."""
    options, program = options_of(arguments)
    return [*_words([one for one in options if not _is_yarns(*one)]), *program]


def _is_yarns(name: str, value: str | None) -> bool:
    return name == "--deploy-mode" or (name == "--master" and (value or "yarn").startswith("yarn"))


def with_python(arguments: Sequence[str], defaults: Mapping[str, str], folder: Path, *, local: bool) -> list[str]:
    """The arguments, with the Python of an archive where one is asked for; `defaults`: properties of the cluster.

    Raises:
        NoPython: with the reason.
    """
    options, program = options_of(arguments)
    asked = virtualenv.of_python(defaults) | _asked(options)
    if not asked:
        return list(arguments)
    kept = [one for one in options if one[0] != _ARCHIVES and _property(one)[0] not in asked]
    properties = virtualenv.translated(asked)
    wanted = virtualenv.wanted_of(asked)
    if (home := wanted.home) is not None:
        (folder / _FOLDER).mkdir(exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder / _FOLDER))
        found = virtualenv.here(wanted, place)
        properties[virtualenv.PYTHON] = virtualenv.executors_python(wanted, found, local=local)
        own = properties.get(virtualenv.DRIVER_PYTHON) or wanted.python
        if Path(own).parts[0] == home.name:
            properties[virtualenv.DRIVER_PYTHON] = str(place / own)
    told = [("--conf", f"{name}={value}") for name, value in properties.items()]
    return [*_words([*kept, *told]), *program]


def _asked(options: Sequence[Option]) -> dict[str, str]:
    """Properties of archives and the Python; the last of a name wins, as Spark has it."""
    found = virtualenv.meant(dict(map(_property, options)))
    # The option wins over the property.
    given = [value for name, value in options if name == _ARCHIVES and value]
    return found | ({virtualenv.ARCHIVES: given[-1]} if given else {})


def _property(option: Option) -> tuple[str, str]:
    name, value = option
    key, _, text = (value or "").partition("=")
    return (key.strip(), text.strip()) if name in _CONF else ("", "")
