# SPDX-License-Identifier: GPL-2.0-only
"""What a command imports, where its bytecode is kept, and that C definitions are not parsed again."""
from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.machine import cdefs
from kemu.plugins import installed_modules, installed_version, of_text
from tests.samples import TOP

USERS = ("erofs_memback.erofs_fs", "kemu.linux.lz4", "kemu.linux.xz", "kemu.linux.zstd", "kemu.linux.lib.zlib_inflate.inflate")


def modules_of(*args: str) -> set[str]:
    code = ("import sys; from kemu.start import main; code = main(); print(chr(10).join(sys.modules), file=sys.stderr); "
            "sys.exit(code)")
    p = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, cwd="/")
    assert p.returncode == 0, p.stderr
    return set(p.stderr.split())


@pytest.mark.parametrize("line, without", [
    ("mount sample:demo.erofs",
     "pycparser cffi.cparser hypothesis rich importlib.metadata multiprocessing kemu.rung.uml kemu.explore kemu.forge "
     "erofs_memback.memback inspect"),
    ("mount sample:demo.erofs --backend memback", "pycparser cffi.cparser hypothesis rich erofs_memback.memback_rfc inspect"),
    ("boot sample:root.cpio",
     "pycparser cffi.cparser hypothesis rich importlib.metadata multiprocessing kemu.rung.uml erofs_memback.memback "
     "initramfs.layered initramfs.initerofs_rfc initramfs.initoverlayfs initramfs.verify sysconfig"),
    ("fuzz memback.ground-truth --examples 1",
     "pycparser cffi.cparser hypothesis rich importlib.metadata email kemu.rung.uml.oracle"),
    ("--version", "pycparser cffi hypothesis rich kemu.linux kemu.explore.run kemu.forge"),
])
def test_a_command_imports_what_it_needs(line, without):
    assert not set(without.split()) & modules_of(*line.split())


def test_c_definitions_are_parsed_already():
    for name in USERS:
        importlib.import_module(name)
    assert len(cdefs.known) >= len(USERS)
    for module in cdefs.known:
        assert cdefs.file_of(module).read_text() == cdefs.source_of(module), f"{module} is out of date: make cdefs"
        assert cdefs.ffi_for(module, *cdefs.known[module]) is importlib.import_module(module).ffi


def test_a_changed_definition_is_parsed(monkeypatch):
    monkeypatch.setattr(cdefs, "known", {})
    ffi = cdefs.ffi_for("kemu.linux._cdefs_lz4", "struct odd { char a[3]; int b; };", packed=True)
    assert ffi.sizeof("struct odd") == 7
    assert cdefs.ffi_for("kemu.linux._no_such_module", "struct odd { char a[3]; int b; };").sizeof("struct odd") == 8


def run(cache: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kemu", *args], capture_output=True, text=True, cwd=cache.parent,
                          env={**os.environ, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(cache),
                               **env})


def kept(cache: Path) -> set[str]:
    return {p.name.partition(".")[0] for p in (cache / "kemu" / "bytecode").rglob("*.pyc")}


def test_bytecode_is_kept_in_the_cache(tmp_path):
    cache = tmp_path / "cache"
    assert run(cache, "mount", "sample:demo.erofs").returncode == 0
    assert {"zdata", "filemap", "common"} <= kept(cache)
    assert (cache / "kemu" / "bytecode").stat().st_mode & 0o777 == 0o700
    # a source that has changed since is compiled again: Python compares time and size, as it does beside the sources
    pyc = next((cache / "kemu" / "bytecode").rglob("zdata.*.pyc"))
    fresh = pyc.read_bytes()
    pyc.write_bytes(fresh[:8] + bytes(4) + fresh[12:])
    p = run(cache, "mount", "sample:demo.erofs")
    assert (p.returncode, p.stderr) == (0, "") and pyc.read_bytes() == fresh
    assert set(os.listdir(tmp_path)) == {"cache"}


@pytest.mark.parametrize("spoil", ("file", "others", "gone"))
def test_where_the_cache_cannot_be_trusted_it_is_left_alone(tmp_path, spoil):
    cache = tmp_path / "cache"
    if spoil == "others":
        (cache / "kemu" / "bytecode").mkdir(parents=True)
        (cache / "kemu" / "bytecode").chmod(0o777)
    elif spoil == "file":
        cache.write_text("")
    else:
        cache = Path("/proc/nowhere")
    p = subprocess.run([sys.executable, "-m", "kemu", "--version"], capture_output=True, text=True, cwd=tmp_path,
                       env={**os.environ, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(cache)})
    assert (p.returncode, p.stderr) == (0, "")
    assert spoil != "others" or not kept(cache)


def test_nothing_is_compiled_beside_the_users_own_module(tmp_path):
    (tmp_path / "mine.py").write_text("import beside\nfrom kemu.explore.experiment import "
                                      "experiment\n\n@experiment('mine.holds')\ndef holds(run):\n    '''Holds.'''\n    "
                                      "run.pick.int('n', 0, 9)\n")
    (tmp_path / "beside.py").write_text("X = 1\n")
    for given in (["./mine.py"], ["-m", "mine"], [str(tmp_path / "mine.py")]):
        p = subprocess.run([sys.executable, "-m", "kemu", "fuzz", *given, "--examples", "3"], capture_output=True, text=True,
                           cwd=tmp_path,
                           env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
                           | {"XDG_STATE_HOME": str(tmp_path.parent / "state")})
        assert p.returncode == 0, p.stderr
        assert ("imported " in p.stderr) == (given[0] == "-m")
    assert sorted(os.listdir(tmp_path)) == ["beside.py", "mine.py"]


def test_a_module_of_the_folder_is_not_taken_for_an_installed_one(tmp_path):
    for name in ("json", "greenlet", "lz4", "hypothesis", "erofs_memback", "initramfs", "random", "mine"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the folder was run')\n")
    for argv in ([*([sys.executable, "-m", "kemu"])], [str(Path(sys.executable).parent / "kemu")]):
        for args in (["mount", "sample:demo.erofs"], ["fuzz", "memback.ground-truth", "--examples", "1"], ["fuzz", "mine"],
                     ["review", "mine"], ["replay", "w1kx-ce", "mine"]):
            p = subprocess.run([*argv, *args], capture_output=True, text=True, cwd=tmp_path,
                               env={**os.environ, "XDG_STATE_HOME": str(tmp_path.parent / "state")})
            assert "was run" not in p.stdout + p.stderr
            assert p.returncode == (2 if args[-1] == "mine" else 0), p.stderr
            if args[-1] == "mine":
                assert "./mine.py or with -m mine" in p.stderr and p.stderr.count("\n") == 1


def test_entry_points_are_those_of_importlib():
    for group in ("kemu.experiments", "console_scripts", "pytest11"):
        assert (sorted(installed_modules(group)) == sorted((e.name, e.module)
                                                           for e in importlib.metadata.entry_points(group=group)))
    assert ([installed_version(n) for n in ("kemu", "cffi", "nothing-of-the-kind")] == [importlib.metadata.version("kemu"),
                                                                                        importlib.metadata.version("cffi"), ""])
    assert of_text("[a]\nx = m.n:f [extra]\n# c = d\n[b]\ny=z\n", "a") == [("x", "m.n:f")]
