"""Static files are compressed once, at install time."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from emr_studio.edge.precompress import COMPILE_HINT, precompress


def test_large_text_is_compressed_and_the_rest_left(tmp_path: Path) -> None:
    script = tmp_path / "lab" / "core.js"
    script.parent.mkdir()
    script.write_text("core();" * 500)
    (tmp_path / "small.js").write_text("small();")
    (tmp_path / "font.woff2").write_bytes(bytes(4096))
    assert precompress(tmp_path) == 1
    assert gzip.decompress((script.parent / "core.js.gz").read_bytes()) == COMPILE_HINT + script.read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["core.js", "core.js.gz", "font.woff2", "small.js"]
    assert precompress(tmp_path) == 0


def test_a_newer_file_is_compressed_again_and_one_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    script, gone = tmp_path / "core.js", tmp_path / "gone.js"
    for path in (script, gone):
        path.write_text("old();" * 500)
    assert precompress(tmp_path) == 2
    script.write_text("new();" * 500)
    later = (tmp_path / "core.js.gz").stat().st_mtime_ns + 1
    os.utime(script, ns=(later, later))
    gone.unlink()
    assert precompress(tmp_path) == 1
    assert gzip.decompress((tmp_path / "core.js.gz").read_bytes()) == COMPILE_HINT + script.read_bytes()
    assert not (tmp_path / "gone.js.gz").exists()


def test_scripts_alone_have_the_hint_and_those_made_without_it_are_made_again(tmp_path: Path) -> None:
    script, style = tmp_path / "core.js", tmp_path / "core.css"
    for path in (script, style):
        path.write_text("x{}" * 500)
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    assert precompress(tmp_path) == 1
    assert gzip.decompress((tmp_path / "core.css.gz").read_bytes()) == style.read_bytes()
    assert gzip.decompress((tmp_path / "core.js.gz").read_bytes()) == COMPILE_HINT + script.read_bytes()
