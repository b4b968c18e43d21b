"""Magics without a kernel: what they take, refuse and show."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import threading
from decimal import Decimal
from pathlib import Path

import pandas
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from emr_studio_cluster import magics, r
from emr_studio_cluster.magics import first_line, forbidden, help_text, r_cell, scala_cell, settings, tables
from emr_studio_cluster.magics.downloads import download_url
from emr_studio_cluster.magics.execute_notebook import ExecuteNotebook, ExecutionFailed
from emr_studio_cluster.magics.workspace_folder import WorkspaceFolder
from emr_studio_workspace.share import FolderShare


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # A history has a thread of its own, which writes into a folder that goes with the test.
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    magics.install(made)
    return made


@pytest.mark.parametrize(
    "cell",
    [
        "%alias x ls",
        "%alias_magic t timeit",
        "%automagic",
        "%macro m 1",
        "%%js\nalert(1)",
        "%%javascript\nalert(1)",
        "%env KERNEL_USERNAME=eve",
        "%env KERNEL_USERNAME eve",
        "%set_env KERNEL_USERNAME eve",
        "%set_env KERNEL_USERNAME = eve",
    ],
)
def test_what_is_blocked(shell: InteractiveShell, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_USERNAME", "ana")
    result = shell.run_cell(cell)
    assert isinstance(result.error_in_exec, UsageError)
    assert os.environ["KERNEL_USERNAME"] == "ana"


def test_other_variables_are_the_users(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_USERNAME", "ana")
    monkeypatch.setenv("FRUIT", "pear")
    assert shell.run_cell("%env KERNEL_USERNAME").result == "ana"
    assert shell.run_cell("%env FRUIT=apple").success
    assert os.environ["FRUIT"] == "apple"
    assert not forbidden.sets_fixed("KERNEL_USERNAME_OF_MINE=1")


def test_local_is_python(shell: InteractiveShell) -> None:
    assert shell.run_cell("\n%%local -o x\nn = 2\nn + 1").result == 3
    assert shell.run_cell("%%pyspark\n1 / 0").error_in_exec.__traceback__.tb_next.tb_lineno == 2
    assert first_line.rewritten(["%%localhost\n", "x"]) == ["%%localhost\n", "x"]


def test_help_names_what_there_is(shell: InteractiveShell) -> None:
    for name, _ in help_text.ROWS:
        for one in name.split(", "):
            word = one.lstrip("%").split()[0]
            if word != "pip":
                assert shell.find_magic(word, "cell" if one.startswith("%%") else "line"), one


RUN = {"id": "ex-1", "output": "executions/ex-1/a.ipynb", "cells": 2, "done": 0, "reason": "", "status": "STARTING"}


class Server:
    """Answers for a run that stands so, one after the other."""

    def __init__(self, *statuses: str, reason: str = "") -> None:
        self._left, self._reason = list(statuses), reason
        self.asked: list[dict[str, str]] = []

    def __call__(self, question: str) -> str:
        self.asked.append(json.loads(question.removeprefix("emr-studio/execute-notebook ")))
        if self.asked[-1].get("begin") == "none.ipynb":
            return json.dumps({"error": "The Workspace has no notebook 'none.ipynb'."})
        return json.dumps(RUN | {"status": self._left.pop(0), "reason": self._reason})


def test_a_notebook_is_run_and_waited_for(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    server, waits = Server("STARTING", "RUNNING", "RUNNING", "FINISHED"), list[float]()
    ExecuteNotebook(server, waits.append).run("a.ipynb --cluster-id j-1 --service-role EMR_Notebooks_DefaultRole")
    assert server.asked == [{"begin": "a.ipynb", "cluster": "j-1"}, *[{"look": "ex-1"}] * 3]
    assert len(waits) == 3
    assert "ex-1 FINISHED, 0 of 2 cells, executions/ex-1/a.ipynb" in capsys.readouterr().out


class Interrupted:
    """A pause that is, once."""

    came = False

    def __call__(self, _seconds: float) -> None:
        if not self.came:
            self.came = True
            raise KeyboardInterrupt


def test_a_notebook_that_does_not_end_well_fails_the_cell(shell: InteractiveShell) -> None:
    failing = Server("STARTING", "FAILED", reason="ValueError: x")
    with pytest.raises(ExecutionFailed, match=r"ex-1 FAILED, .*: ValueError: x"):
        ExecuteNotebook(failing, lambda _seconds: None).run("a.ipynb")
    slow = Server(*["RUNNING"] * 3)
    with pytest.raises(ExecutionFailed, match="Not ended in time"):
        ExecuteNotebook(slow, lambda _seconds: None).run("a.ipynb --timeout 1e-9")

    stopped = Server("RUNNING", "STOPPED")
    with pytest.raises(KeyboardInterrupt):
        ExecuteNotebook(stopped, Interrupted()).run("a.ipynb")
    assert stopped.asked[1:] == [{"stop": "ex-1"}]
    # The answer to a question that was interrupted comes to the next one.
    late = Server("RUNNING", "RUNNING", "STOPPED")
    with pytest.raises(KeyboardInterrupt):
        ExecuteNotebook(late, Interrupted()).run("a.ipynb")
    assert late.asked[1:] == [{"stop": "ex-1"}] * 2
    for line, said in (("none.ipynb", "has no notebook"), ("", "required"), ("a.ipynb --timeout 0", "seconds")):
        with pytest.raises(UsageError, match=said):
            ExecuteNotebook(Server("RUNNING")).run(line)
    with pytest.raises(UsageError, match="cells of the Workspace's notebooks only"):
        ExecuteNotebook(lambda _question: "hello").run("a.ipynb")


def test_a_machine_without_r_says_what_to_do(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r, "has_r", lambda: False)
    r_cell.install(shell, keeper=object())
    said = str(shell.run_cell("%%rspark\nhead(df)").error_in_exec)
    assert "needs R" in said
    assert "apt-get install" in said
    assert "%%pyspark" in said


@pytest.mark.parametrize("cell", ["%%rspark\n1", "%%sql\nSELECT 1", "%%configure\n{}", "%%info", "%info"])
def test_a_kernel_without_spark_says_so(shell: InteractiveShell, cell: str) -> None:
    error = shell.run_cell(cell).error_in_exec
    assert "choose the kernel PySpark" in str(error)


class PlayScala:
    """A driver's Scala, and who keeps it; an interrupt that hits a question for what was printed breaks that."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.begun, self.over = threading.Event(), threading.Event()

    def scala(self) -> PlayScala:
        return self

    def set_group(self) -> None:
        self.told.append("group")

    def run(self, _code: str) -> str:
        self.begun.set()
        self.over.wait()
        self.told.append("ended")
        return "Error"

    def take(self) -> str:
        assert self.begun.wait(60)
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ConnectionError("the answer is empty")  # noqa: B904  (as py4j does)

    def cancel(self) -> None:
        self.told.append("cancelled")

    def interrupt(self) -> None:
        self.told.append("interrupted")
        self.over.set()


def test_scala_ends_though_an_error_took_the_interrupts_place(shell: InteractiveShell) -> None:
    play = PlayScala()
    scala_cell.install(shell, play)
    result = shell.run_cell("%%scalaspark\nwhile (true) {}")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert play.told == ["group", "cancelled", "interrupted", "ended"]


def test_settings() -> None:
    own = '"driverMemory": "2g", "jars": ["a", "b"], "queue": "q"'
    given = f'{{"conf": {{"spark.sql.shuffle.partitions": 4, "a.b": true}}, {own}}}'
    assert settings.properties_of(given) == {
        "spark.driver.memory": "2g",
        "spark.jars": "a,b",
        "spark.sql.shuffle.partitions": "4",
        "a.b": "true",
    }
    assert settings.properties_of("") == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "JSON object"),
        ("[]", "JSON object"),
        ('{"conf": []}', "properties"),
        ('{"memory": "1g"}', "does not know 'memory'"),
        ('{"proxyUser": "eve"}', "cannot be changed"),
        ('{"proxy_user": "eve"}', "cannot be changed"),
        ('{"conf": {"spark.proxy-user": "eve"}}', "cannot be changed"),
    ],
)
def test_settings_that_are_refused(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings.properties_of(given)


def test_a_table_has_what_json_has() -> None:
    frame = pandas.DataFrame(
        {
            "n": [1, 2**60],
            "x": [0.5, float("nan")],
            "d": [Decimal("1.5"), None],
            "t": [dt.date(2026, 1, 2), None],
            "s": ["a", None],
        }
    )
    frame.insert(5, "s", ["twice", "named"], allow_duplicates=True)
    found = tables.table(frame, more=True)
    assert [column["kind"] for column in found["columns"]] == ["number", "number", "number", "time", "text", "text"]
    assert found["rows"] == [
        [1, 0.5, 1.5, "2026-01-02", "a", "twice"],
        [str(2**60), None, None, None, None, "named"],
    ]
    assert tables.table(pandas.DataFrame({"a": []}), more=False) == {
        "columns": [{"name": "a", "kind": "text"}],
        "rows": [],
        "more": False,
    }


def test_display_takes_pandas(shell: InteractiveShell) -> None:
    shell.user_ns["shown"] = pandas.DataFrame({"a": [1, 2]})
    assert shell.run_cell("%%display shown").success
    assert shell.run_cell("%%display\nshown").success
    for wrong, said in (("%%display", "needs a DataFrame"), ("%%display len", "is no DataFrame")):
        assert said in str(shell.run_cell(wrong).error_in_exec)


@pytest.mark.parametrize(
    ("url", "seconds", "said"),
    [
        ("http://x/y", 60, "no S3 URL"),
        ("s3://bucket", 60, "no S3 URL"),
        ("s3://bucket/", 60, "no S3 URL"),
        ("s3://bucket/key", 0, "--expires-in"),
        ("s3://bucket/key", 604801, "--expires-in"),
    ],
)
def test_urls_that_are_refused(url: str, seconds: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        download_url(url, seconds)


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceFolder:
    """A kernel that asks a Workspace's server with the folder `home`."""
    monkeypatch.setenv("KERNEL_WORKSPACE_ID", "e-1")
    (tmp_path / "home/lib").mkdir(parents=True)
    (tmp_path / "home/lib/fruit.py").write_text("NAME = 'pear'")
    (tmp_path / "kernel").mkdir()
    monkeypatch.chdir(tmp_path / "kernel")
    share = FolderShare(lambda: str(tmp_path / "home"))
    # An event loop of its own for each: as far as the kernel goes, the server is elsewhere.
    return WorkspaceFolder(lambda question: asyncio.run(share.answer("1", question)))


def test_a_mount_is_the_folder_as_it_is_now(
    mounts: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("emr_studio_workspace.share.PIECE", 20)
    folder = tmp_path / "kernel/e-1"
    mounts.mount(".")
    assert (Path.cwd(), Path("lib/fruit.py").read_text()) == (folder, "NAME = 'pear'")
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "lib", folder / "lib/fruit.py")] == [
        "0o500",
        "0o500",
        "0o400",
    ]
    (tmp_path / "home/lib/fruit.py").rename(tmp_path / "home/lib/apple.py")
    mounts.mount(".")
    assert [path.name for path in Path("lib").iterdir()] == ["apple.py"]
    with pytest.raises(UsageError, match="umount_workspace_dir first"):
        mounts.mount("lib")
    mounts.umount()
    assert (Path.cwd(), list((tmp_path / "kernel").iterdir())) == (tmp_path / "kernel", [])
    assert "Mounted already; fetched again: 1 files" in capsys.readouterr().out
    mounts.mount("lib")
    assert Path("apple.py").exists()


def test_a_mount_is_there_again_after_a_restart_of_the_kernel(mounts: WorkspaceFolder, tmp_path: Path) -> None:
    def restarted() -> WorkspaceFolder:
        os.chdir(tmp_path / "kernel")
        found = WorkspaceFolder(mounts._ask)
        found.resume()
        return found

    assert not restarted()._path, "nothing was mounted"
    mounts.mount("lib")
    again = restarted()
    assert (Path.cwd(), Path("fruit.py").exists()) == (tmp_path / "kernel/e-1", True)
    with pytest.raises(UsageError, match="'lib' is mounted"):
        again.mount(".")
    again.umount()
    assert list((tmp_path / "kernel").iterdir()) == []
    assert restarted()._folder is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/etc", "no folder"),
        ("../kernel", "no folder"),
        ("nothing", "no folder 'nothing'"),
        (". --fuse-type nfs", "invalid choice"),
        ("", "required"),
    ],
)
def test_mounts_that_are_refused(mounts: WorkspaceFolder, line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        mounts.mount(line)
    assert list((tmp_path / "kernel").iterdir()) == []
    with pytest.raises(UsageError, match="not mounted"):
        mounts.umount()


@pytest.mark.parametrize("answer", ["", "a user's words", "[]"])
def test_what_is_no_answer_of_a_workspace(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_WORKSPACE_ID", "e-1")
    with pytest.raises(UsageError, match="cells of its notebooks only"):
        WorkspaceFolder(lambda _question: answer)._asked({"path": ".", "from": 0})


def test_a_kernel_of_no_workspace_mounts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERNEL_WORKSPACE_ID", raising=False)
    with pytest.raises(UsageError, match="belongs to no Workspace"):
        WorkspaceFolder(lambda _question: "").mount(".")
