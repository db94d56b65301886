# SPDX-License-Identifier: GPL-2.0-only
"""``kemu linux`` and ``kemu series`` as commands: what they print, and their exit codes."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.report import manifest
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.tree import Tree
from tests.uml.test_boot import TRAILER, member

DEMO = Path(__file__).parents[1] / "data" / "demo.erofs"


def kemu(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one command line."""
    return subprocess.run([sys.executable, "-m", "kemu", *map(str, args)], capture_output=True, text=True, timeout=300,
                          env=os.environ | env)


def one_line(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """It failed with this code and one line that says why."""
    assert done.returncode == code, done
    assert words in done.stderr.splitlines()[-1] and done.stderr.startswith("kemu: "), done.stderr
    assert "Traceback" not in done.stderr


def test_a_manifest(kernel: Kernel) -> None:
    done = kemu("linux", "oracle", DEMO, "--at", "17")
    assert (done.returncode, done.stderr) == (0, "")
    entries = manifest.loads(done.stdout)
    assert entries[0]["path"] == "/" and manifest.dump(entries) == done.stdout


def test_several_images_each_with_its_head(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "a.erofs").write_bytes(DEMO.read_bytes())
    (tmp_path / "b").write_bytes(member("x", b"y") + TRAILER)
    (tmp_path / "c.dat").write_text("something else")
    done = kemu("linux", "oracle", tmp_path)
    heads = [json.loads(line) for line in done.stdout.splitlines() if '"image"' in line]
    assert [Path(h["image"]).name for h in heads] == ["a.erofs", "b"] and done.returncode == 0
    assert "c.dat: neither an EROFS image nor an archive" in done.stderr


def test_an_image_that_is_refused(kernel: Kernel, tmp_path: Path) -> None:
    image = bytearray(DEMO.read_bytes())
    image[1024 + 12] = 40                              # blkszbits
    (tmp_path / "x.erofs").write_bytes(image)
    one_line(kemu("linux", "oracle", tmp_path / "x.erofs"), 1,
             "EINVAL (Invalid argument): erofs (device kemu0): blkszbits 40 isn't supported")


def test_an_archive_that_breaks_off(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(member("x", b"y") + b"nonsense")
    done = kemu("linux", "oracle", tmp_path / "x")
    one_line(done, 1, "Initramfs unpacking failed: ")
    assert [e["path"] for e in manifest.loads(done.stdout)] == ["/", "/x"]


def test_check_against_the_manifest_beside(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "a.erofs").write_bytes(DEMO.read_bytes())
    good = kemu("linux", "oracle", DEMO).stdout
    (tmp_path / "a.jsonl").write_text(good)
    assert kemu("linux", "oracle", tmp_path, "--check").returncode == 0
    entries = manifest.loads(good)
    entries[0]["uid"] = 77
    (tmp_path / "a.jsonl").write_text(manifest.dump(entries))
    done = kemu("linux", "oracle", tmp_path, "--check")
    assert done.returncode == 1 and "/: uid: a.jsonl 77, linux" in done.stdout


@pytest.mark.parametrize(("args", "code", "words"), [
    (("linux", "oracle", "/nonesuch"), 1, "/nonesuch: ENOENT"),
    (("linux", "build", "--tree", "/"), 3, "/: not a kernel tree"),
    (("linux", "build", "--config", "CONFIG_NONESUCH=y"), 3, "Kconfig does not take CONFIG_NONESUCH=y"),
    (("linux", "build", "--config", "nonsense"), 3, "not a configuration line"),
    (("linux", "boot", "/nonesuch"), 1, "/nonesuch: ENOENT"),
    (("linux", "build", "--series", "nonesuch"), 3, "no series 'nonesuch'"),
    (("series", "test", "nonesuch"), 3, "no series 'nonesuch'"),
    (("series", "check", "nonesuch"), 3, "no series 'nonesuch'"),
    (("series", "new", "a/b"), 3, "not a name for a folder"),
])
def test_refusals(kernel: Kernel, args: tuple[str, ...], code: int, words: str) -> None:
    one_line(kemu(*args, "-q"), code, words)


@pytest.mark.parametrize("args", [("linux",), ("linux", "oracle"), ("linux", "oracle", "x", "--at", "4096"),
                                  ("linux", "oracle", "x", "--at", "x"),
                                  ("linux", "build", "--flavour", "x"), ("series", "test"), ("series", "x")])
def test_usage(args: tuple[str, ...]) -> None:
    done = kemu(*args)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_without_a_compiler(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "cache" / "kemu" / "linux").mkdir(parents=True)
    done = kemu("linux", "build", "-q", "--tree", tree.path, XDG_CACHE_HOME=str(tmp_path / "cache"), PATH=str(tmp_path))
    one_line(done, 3, "apt-get install ")


def test_a_boot(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(member("x", b"y") + TRAILER)
    done = kemu("linux", "boot", tmp_path / "x", "--manifest", "--builtin", "none", "--at", "5")
    assert done.returncode == 255 and "kernel panic: VFS: Unable to mount root fs" in done.stderr.splitlines()[-1]
    assert [e["path"] for e in manifest.loads(done.stdout)] == ["/", "/x"]
    done = kemu("linux", "boot", tmp_path / "x", "--cmdline", "something=else")
    assert done.stdout.rstrip().splitlines()[-1].startswith("Kernel panic - not syncing: VFS") and "something=else" in done.stdout


def test_kunit(kernel: Kernel) -> None:
    done = kemu("linux", "kunit")
    assert done.returncode == 0 and done.stdout.startswith("KTAP version 1\n1..")
    one_line(kemu("linux", "kunit", "nonesuch*"), 125, "no test ran")


def test_config_and_build_show_paths(kernel: Kernel) -> None:
    path = Path(kemu("linux", "config", "-q").stdout.strip())
    assert "CONFIG_EROFS_FS=y" in path.read_text().splitlines()
    assert Path(kemu("linux", "build", "-q").stdout.strip()) == kernel.path


def test_series_list_and_new(tmp_path: Path) -> None:
    rows = json.loads(kemu("series", "list", "--json").stdout)
    assert "erofs-kunit" in [row["name"] for row in rows]
    done = subprocess.run([sys.executable, "-m", "kemu", "series", "new", "mine"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "patches" / "mine" / "series.toml").exists()


def test_series_check_as_b4_wants_it(kernel: Kernel) -> None:
    done = kemu("series", "check", "erofs-kunit", "--json")
    assert done.returncode == 0
    assert {tuple(sorted(row)) for row in json.loads(done.stdout)} == {("details", "status", "summary", "tool", "url")}


def test_coverage(flavour: Callable[[str], Kernel]) -> None:
    flavour("gcov")
    done = kemu("linux", "oracle", DEMO, "--coverage")
    rows = {line.split()[-1]: float(line.split()[0]) for line in done.stdout.splitlines()}
    assert rows["fs/erofs/super.c"] > 30 and rows["fs/erofs/fileio.c"] == 0
    done = kemu("linux", "oracle", DEMO, "--coverage", "fs/erofs/fileio.c")
    assert "static void erofs_fileio_ki_complete(" in done.stdout
    one_line(kemu("linux", "oracle", DEMO, "--coverage", "fs/erofs/nonesuch.c"), 1, "not counted")
