"""What each page of JupyterLab asks for first is prepared, and the same as JupyterLab's own."""

from __future__ import annotations

from pathlib import Path

from tests.support.workspace_python import in_workspace

_ASKED = """
import json, sys
from pathlib import Path
from emr_studio_workspace import pages
from emr_studio_workspace.config import LAB_SETTINGS
from jupyter_core.paths import jupyter_path
from jupyterlab.commands import get_app_dir
from jupyterlab_server.settings_utils import _get_overrides, get_settings

pages.prepare(LAB_SETTINGS)
schemas, extensions = str(Path(get_app_dir()) / "schemas"), jupyter_path("labextensions")
overrides, _ = _get_overrides(str(LAB_SETTINGS))
user = Path(sys.argv[1])
(user / "@jupyterlab/apputils-extension").mkdir(parents=True)
(user / "@jupyterlab/apputils-extension/themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
(user / "gone").mkdir()
(user / "gone/plugin.jupyterlab-settings").write_text("{}")


class Asked(pages.AllSettingsHandler):
    def __init__(self):
        self.app_settings_dir, self.schemas_dir, self.settings_dir = str(LAB_SETTINGS), schemas, str(user)
        self.labextensions_path, self.overrides = extensions, overrides


known = pages.settings.cache_info().misses
ours = json.loads(Asked()._all())
assert pages.settings.cache_info().misses == known, "what the zygote prepared is not what a server asks for"
theirs, _ = get_settings(str(LAB_SETTINGS), schemas, str(user), overrides=overrides, labextensions_path=extensions)
assert ours == json.loads(json.dumps(theirs))
static = Path(get_app_dir()) / "static"
(core,) = pages.core_scripts(str(static), "/static/lab")
name, _, version = core.removeprefix("/static/lab/").partition("?v=")
assert (static / name).exists() and version in name
print(len(ours["settings"]))
"""


def test_all_settings_are_those_of_jupyterlab_with_the_users_own(tmp_path: Path) -> None:
    done = in_workspace(_ASKED, tmp_path / "user", folder=tmp_path, warns=False)
    assert int(done.stdout) > 50
