"""What JupyterLab's page asks for first, answered at once.

* The page names the large scripts that its first script will ask for, so that the browser fetches and compiles
  them meanwhile.
* The page of a notebook has its first cells in it (`first_page.py`).
* All settings come in one answer. JupyterLab's server reads and validates two hundred schemas for it each time,
  and nothing else is answered meanwhile; here that is done once, in the zygote, and only what the user has set is
  read anew.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_path
from jupyterlab.commands import get_app_dir
from jupyterlab_server import handlers as labs
from jupyterlab_server.handlers import LabHandler
from jupyterlab_server.settings_handler import SettingsHandler
from jupyterlab_server.settings_utils import SETTINGS_EXTENSION, _get_overrides, get_settings
from jupyterlab_server.translation_utils import DEFAULT_LOCALE
from tornado.web import HTTPError, authenticated

from emr_studio_workspace import first_page
from emr_studio_workspace.gateway import pointer

_CORE = "jlab_core.*.js"


class PageHandler(LabHandler):
    """The page, with the scripts that it will need named in its head, and a notebook's first cells in its body."""

    _first = ""

    @authenticated
    def get(self, mode: str | None = None, workspace: str | None = None, tree: str | None = None) -> None:
        """The page of JupyterLab."""
        config = self.get_page_config()
        scripts = [*core_scripts(self.extensionapp.static_dir, config["fullStaticUrl"]), *_extensions(config)]
        self.set_header("Link", ", ".join(f"<{script}>; rel=preload; as=script" for script in scripts))
        # Whether a kernel may be tried: the page knows it before it has asked anybody.
        config["emrStudioCluster"] = pointer.target.cluster_id if pointer.target else ""
        config["emrStudioUser"] = self.current_user.username
        path = (tree or "").removeprefix("/tree/").strip("/")
        if mode != "doc" and path and posixpath.normpath(path) == path:
            self._first = self._first_cells(path)
        super().get(mode, workspace, tree)

    def render_template(self, name: str, **values: Any) -> str:
        """JupyterLab's template, with the first cells."""
        page = super().render_template(name, **values)
        return first_page.into(page, self._first) if name == "index.html" else page

    def _first_cells(self, path: str) -> str:
        """Empty where they cannot be shown."""
        try:
            document = self.settings["emr_studio_documents"].open_now(path)
            cells, has_more = (
                first_page.read_cells(self.contents_manager._get_os_path(path))
                if document is None
                else first_page.first_cells(document.ycells)
            )
            looks = first_page.theme(self.extensionapp.user_settings_dir)
            return first_page.render(path, self.current_user.username, looks, cells, has_more=has_more)
        except first_page.Unfit as reason:
            self.log.debug("%s is shown by JupyterLab alone: %s", path, reason)
        except (OSError, HTTPError):
            self.log.debug("%s cannot be read: JupyterLab says why", path)
        except Exception:
            self.log.warning("The first cells of %s could not be shown", path, exc_info=True)
        return ""


@cache
def core_scripts(static: str, url: str) -> tuple[str, ...]:
    """The addresses of JupyterLab's core, as its first script writes them."""
    names = [path.name for path in Path(static).glob(_CORE)]
    return tuple(f"{url}/{name}?v={name.split('.')[1]}" for name in sorted(names))


def _extensions(config: Mapping[str, Any]) -> list[str]:
    """The entry scripts of the extensions."""
    base = config["fullLabextensionsUrl"]
    return [f"{base}/{one['name']}/{one['load']}" for one in config.get("federated_extensions", [])]


class AllSettingsHandler(SettingsHandler):
    """JupyterLab's own, but the list of all is not made anew for each page."""

    @authenticated
    def get(self, schema_name: str = "") -> Any:
        """One setting, or all of them."""
        # The machine's own locale, `en_US`, has no translations either.
        in_english = self.get_current_locale().partition("_")[0] == DEFAULT_LOCALE
        if schema_name or self.get_argument("ids_only", "") or not in_english:
            return super().get(schema_name)
        return self.finish(self._all())

    def _all(self) -> str:
        folders = self.app_settings_dir, self.schemas_dir, existing(self.labextensions_path)
        known = dict(settings(*folders, json.dumps(self.overrides, sort_keys=True)))
        for name in _changed(Path(self.settings_dir)):
            if name in known:
                known[name] = self._as_now(name)
        return f'{{"settings": [{", ".join(known[name] for name in sorted(known, reverse=True))}]}}'

    def _as_now(self, name: str) -> str:
        found, warnings = get_settings(
            self.app_settings_dir,
            self.schemas_dir,
            self.settings_dir,
            schema_name=name,
            overrides=self.overrides,
            labextensions_path=self.labextensions_path,
        )
        for warning in filter(None, warnings):
            self.log.warning(warning)
        return json.dumps({**found, "warning": None})


def existing(folders: Sequence[str]) -> tuple[str, ...]:
    """Those of the folders that are there."""
    return tuple(folder for folder in folders if Path(folder).is_dir())


def _changed(folder: Path) -> list[str]:
    """The names of the settings that the user has set."""
    files = folder.glob(f"**/*{SETTINGS_EXTENSION}")
    return [f"{path.parent.relative_to(folder)}:{path.name.removesuffix(SETTINGS_EXTENSION)}" for path in files]


@cache
def settings(app: str, schemas: str, extensions: tuple[str, ...], overrides: str) -> dict[str, str]:
    """Each setting's name and its JSON, while the user has set nothing. `overrides`: our defaults, as JSON."""
    found, _ = get_settings(
        app, schemas, str(Path(schemas) / "none"), overrides=json.loads(overrides), labextensions_path=list(extensions)
    )
    return {one["id"]: json.dumps(one) for one in found["settings"]}


def prepare(app_settings: Path) -> None:
    """Read the settings' schemas: in the zygote, for all Workspaces that begin there."""
    overrides, _ = _get_overrides(str(app_settings))
    schemas = str(Path(get_app_dir()) / "schemas")
    settings(str(app_settings), schemas, existing(jupyter_path("labextensions")), json.dumps(overrides, sort_keys=True))
    first_page.prepare()


def place() -> None:
    """Put the handlers above in the place of JupyterLab's, which has no setting for it."""
    labs.LabHandler, labs.SettingsHandler = PageHandler, AllSettingsHandler
