"""What Jupyter's server does again and again at a start, with nothing new in it: done once, or not at all.

* Each of its six applications makes a parser of all its options for a command line that is empty.
* Each sets up its logging anew with every part of its configuration, twenty-five times in all.
* The schemas of events are read and checked at each start: here they are kept, in the zygote (`rehearsal.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_events.logger import EventLogger
from jupyter_events.schema import EventSchema
from traitlets.config import Application

schemas: dict[str, EventSchema] = {}
"""Those that are known, by the path of their file. Nobody changes one."""

_parse, _register = Application.parse_command_line, EventLogger.register_event_schema
_configure = Application._configure_logging
_LAST = "_emr_studio_logging"


def place() -> None:
    """Put these in the place of Jupyter's, which has no setting for it."""
    Application.parse_command_line = _parse_command_line
    Application._configure_logging = _configure_logging
    EventLogger.register_event_schema = _register_event_schema


def event_schema(path: Path) -> EventSchema:
    """The schema in this file.

    Raises:
        jupyter_events.schema.EventSchemaFileAbsent and others: it is none.
    """
    known = schemas.get(str(path))
    if known is None:
        known = schemas[str(path)] = EventSchema(path)
    return known


def _parse_command_line(self: Application, argv: Any = None) -> None:
    if argv is None or len(argv):
        _parse(self, argv)
    else:
        self.argv, self.extra_args = [], []


def _configure_logging(self: Application) -> None:
    wanted = repr((self.get_default_logging_config(), self.logging_config))
    if getattr(self, _LAST, "") != wanted:
        setattr(self, _LAST, wanted)
        _configure(self)


def _register_event_schema(self: EventLogger, schema: Any) -> None:
    _register(self, event_schema(schema) if isinstance(schema, Path) else schema)
