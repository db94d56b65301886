# SPDX-License-Identifier: GPL-2.0-only
"""The cache of the Linux rung: what is in it is whole, is waited for with a name and a limit, and is kept while it is used."""
from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kemu.rung.uml import build as b
from kemu.rung.uml import cache
from kemu.rung.uml.build import Kernel, Recipe
from kemu.rung.uml.copy import Copy
from kemu.rung.uml.errors import BuildError, ConfigError, LockTimeout
from kemu.rung.uml.tree import Tree


def child(text: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c",
                             "import os, sys, time; from pathlib import Path; from kemu.rung.uml import cache\n" + text, *args],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def no_more_than(size: int, text: str, *args: str) -> subprocess.CompletedProcess[str]:
    """A process for which the disk is full when a file has ``size`` bytes."""
    return subprocess.run([sys.executable, "-c", text, *args], capture_output=True, text=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))


def test_whether_anybody_works_there(tmp_path: Path) -> None:
    assert cache.is_free(tmp_path / "a")
    with cache.lock(tmp_path / "a"):
        assert not cache.is_free(tmp_path / "a")
    assert cache.is_free(tmp_path / "a")


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x"
    cache.write_whole(path, "old")
    done = no_more_than(1000,
                        "import sys; from pathlib import Path; from kemu.rung.uml.cache import write_whole; "
                        "write_whole(Path(sys.argv[1]), b'n' * 2000)", str(path))
    assert done.returncode == 1 and f"File too large: '{path}'" in done.stderr.splitlines()[-1]
    assert path.read_text() == "old" and [p.name for p in path.parent.iterdir()] == ["x"]


HOLD = """
with cache.lock(Path(sys.argv[1])):
    Path(sys.argv[2]).touch()
    time.sleep(30)
"""


@pytest.fixture
def held(tmp_path: Path) -> Path:
    p = child(HOLD, str(tmp_path / "thing"), str(tmp_path / "holds"))
    wait_for(tmp_path / "holds")
    try:
        yield tmp_path / "thing"
    finally:
        p.kill()
        p.communicate()


def test_who_waits_says_for_whom_and_gives_up(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEMU_LOCK_WAIT", "0.3")
    said: list[str] = []
    match = r"waited 0.3 s for another kemu \(pid \d+, `.*thing.*`, since \d\d:\d\d:\d\d\), which works on thing"
    with pytest.raises(LockTimeout, match=match) as e, cache.lock(held, said.append):
        raise AssertionError("two at a time")
    assert e.value.exit_code == 124
    assert len(said) == 1 and said[0].startswith("waiting for another kemu (pid ")


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    p = child(HOLD, str(tmp_path / "thing"), str(tmp_path / "holds"))
    wait_for(tmp_path / "holds")
    p.kill()
    p.communicate()
    with cache.lock(tmp_path / "thing"):
        row = json.loads((tmp_path / "thing.lock").read_text())
        assert row["pid"] == os.getpid() and abs(row["since"] - time.time()) < 5
    assert (tmp_path / "thing.lock").read_text() == ""


@pytest.mark.parametrize("text", ["x", "-1", "nan", "1e99"])
def test_a_limit_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KEMU_LOCK_WAIT", text)
    with pytest.raises(ConfigError, match="a number of seconds"), cache.lock(tmp_path / "thing"):
        pass


# ---- kernels ----

def finished(kernels: Path, number: int, age: float) -> Path:
    store = kernels / f"{number:016x}"
    store.mkdir(parents=True)
    (store / "linux").write_bytes(b"ELF")
    (store / "config").write_text("CONFIG_X=y\n")
    (store / "meta.json").write_text(json.dumps({"flavour": "fast", "version": "7.2", "source": "/s", "objects": "/o",
                                                 "warnings": [], "size": 3}))
    os.utime(store, (time.time() - age,) * 2)
    return store


def test_a_kernel_in_use_is_not_thrown_away(tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"
    stores = [finished(kernels, n, 1000 - n) for n in range(b.KEEP_KERNELS + 3)]
    mine = b._stored(stores[0])                        # the oldest of all
    assert isinstance(mine, Kernel)
    other = child("cache.pin(Path(sys.argv[1])); Path(sys.argv[2]).touch(); time.sleep(30)", str(stores[1] / "linux"),
                  str(tmp_path / "pinned"))
    wait_for(tmp_path / "pinned")
    b._forget_old(kernels)
    left = {p.name for p in kernels.iterdir()}
    assert stores[0].name in left and stores[1].name in left and stores[2].name not in left and len(left) == b.KEEP_KERNELS + 2
    other.kill()
    other.communicate()
    b._forget_old(kernels)
    assert stores[0].exists() and not stores[1].exists()


@pytest.mark.parametrize("name", ["linux", "config", "meta.json"])
@pytest.mark.parametrize("how", ["gone", "half"])
def test_half_a_kernel_is_none(tmp_path: Path, name: str, how: str) -> None:
    store = finished(tmp_path, 1, 0)
    assert b._stored(store)
    if how == "gone":
        (store / name).unlink()
    else:
        os.truncate(store / name, 0)
    assert b._stored(store) is None


STORE = """
import sys
from pathlib import Path
from kemu.rung.uml import build as b
from kemu.rung.uml.tree import Tree
base = Path(sys.argv[1])
try:
    b._store(b.Recipe(Tree(base / "tree")), "0" * 16, base / "kernels" / ("0" * 16), base / "objects", base / "tree", [])
except b.BuildError as e:
    print(e)
"""


def test_a_full_disk_leaves_no_kernel(tmp_path: Path) -> None:
    for folder in ("tree", "objects"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tree" / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 2\n")
    (tmp_path / "objects" / "vmlinux").write_bytes(bytes(100_000))
    (tmp_path / "objects" / ".config").write_text("CONFIG_X=y\n")
    done = no_more_than(50_000, STORE, str(tmp_path))
    assert "the kernel is built and cannot be kept" in done.stdout, done
    assert list((tmp_path / "kernels").iterdir()) == []
    b._store(Recipe(Tree(tmp_path / "tree")), "0" * 16, tmp_path / "kernels" / ("0" * 16), tmp_path / "objects",
             tmp_path / "tree", [])
    assert b._stored(tmp_path / "kernels" / ("0" * 16))


def test_what_the_dead_were_making_is_removed(tmp_path: Path) -> None:
    p = child("pass")
    p.communicate()
    for name in (f"{'a' * 16}.{p.pid}", f".x.json.{p.pid}.part"):
        (tmp_path / name).mkdir()
    mine = tmp_path / f"{'a' * 16}.{os.getpid()}"
    mine.mkdir()
    (tmp_path / ("b" * 16)).mkdir()
    cache.remove_parts(tmp_path)
    assert sorted(x.name for x in tmp_path.iterdir()) == sorted([mine.name, "b" * 16])


def test_scratch_of_killed_processes_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "scratch_base", lambda: str(tmp_path))
    monkeypatch.setattr(cache, "_YOUNG", 0.0)
    p = child("cache.scratch_base = lambda: sys.argv[1]; cache.scratch('kemu-uml-'); Path(sys.argv[1], 'ready').touch(); "
              "time.sleep(30)", str(tmp_path))
    wait_for(tmp_path / "ready")
    mine, mark = cache.scratch("kemu-uml-")
    assert len(list(tmp_path.glob("kemu-uml-*"))) == 2
    p.kill()
    p.communicate()
    other, other_mark = cache.scratch("kemu-uml-")
    assert set(tmp_path.glob("kemu-uml-*")) == {mine, other}
    os.close(mark)
    os.close(other_mark)


# ---- sources and objects of a build that never came back ----

def test_an_interrupted_update_of_a_copy_is_finished_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for name in "abc":
        (tmp_path / "tree" / name).write_text(name)
    copy = Copy(Tree(tmp_path / "tree"), tmp_path / "copy")
    copy.update("1", {"a": b"patched"})
    write = copy._write
    calls: list[str] = []

    def killed(rel: str, data: bytes | None) -> None:
        calls.append(rel)
        write(rel, b"ha")
        raise KeyboardInterrupt

    copy._write = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        copy.update("1", {"b": b"half"})
    assert (tmp_path / "copy" / "b").read_text() == "ha"
    Copy(Tree(tmp_path / "tree"), tmp_path / "copy").update("1", {})
    assert [(tmp_path / "copy" / name).read_text() for name in "abc"] == ["a", "b", "c"]


def test_a_copy_of_which_nothing_is_known_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("a")
    copy = Copy(Tree(tmp_path / "tree"), tmp_path / "copy")
    copy.update("1", {"a": b"patched"})
    (tmp_path / "copy" / "kemu-build-fast").mkdir()
    (tmp_path / "copy" / "kemu-build-fast" / "a.o").write_text("of the patched one")
    (tmp_path / "copy" / ".kemu-copy").write_text('{"ident')
    copy.update("1", {})
    assert (tmp_path / "copy" / "a").read_text() == "a" and not (tmp_path / "copy" / "kemu-build-fast").exists()


def test_objects_of_a_make_that_never_came_back(tmp_path: Path) -> None:
    old, new = tmp_path / "old.o", tmp_path / "sub" / "new.o"
    new.parent.mkdir()
    old.write_text("")
    os.utime(old, (1, 1))
    (tmp_path / ".kemu-making").touch()
    new.write_text("half")
    (tmp_path / "sub" / ".new.o.cmd").write_text("")
    b.forget_half_made(tmp_path)
    assert old.exists() and not new.exists() and not (tmp_path / "sub" / ".new.o.cmd").exists()


def test_build_errors_have_their_code() -> None:
    assert BuildError("x").exit_code == 4 and LockTimeout("x").exit_code == 124
