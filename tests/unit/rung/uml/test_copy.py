# SPDX-License-Identifier: GPL-2.0-only
"""A copy of a tree follows every change of it, and what it replaces is newer than whatever was made of what was there."""
from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.rung.uml import listing as ls
from kemu.rung.uml.build import Recipe, seed
from kemu.rung.uml.copy import Copy
from kemu.rung.uml.listing import Listing
from kemu.rung.uml.tree import Tree

FILES = {"Makefile": "VERSION = 7\n", "Kconfig": "k\n", "fs/a.c": "a\n", "fs/b.c": "b\n", "fs/deep/er/c.c": "c\n",
         "include/d.h": "d\n", "scripts/run.sh": "#!/bin/sh\n"}
OLD = 1_600_000_000_123_456_789        # the time of every file of the tree: long ago


def put(path: Path, text: str, ns: int = OLD) -> None:
    """A new file of its own, as an editor or git leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + "~")
    beside.write_text(text)
    os.utime(beside, ns=(ns, ns))
    beside.rename(path)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for name, text in FILES.items():
        put(tmp_path / "tree" / name, text)
    os.symlink("a.c", tmp_path / "tree/fs/link.c")
    return Tree(tmp_path / "tree")


@pytest.fixture(params=["linked", "copied"])
def copy(request: pytest.FixtureRequest, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A copy with objects in it, of links and (as on another file system) of copies."""
    if request.param == "copied":
        def refused(*args: object, **kw: object) -> None:
            raise OSError(18, "Invalid cross-device link")
        monkeypatch.setattr(os, "link", refused)
    out = Copy(tree, tmp_path / "copy")
    follow(out)
    (out.path / "kemu-build-fast").mkdir()
    return out


def contents(top: Path) -> dict[str, str]:
    """Every source file, its mode, and what is in it."""
    out = {}
    for path in top.rglob("*"):
        rel = str(path.relative_to(top))
        if path.is_symlink():
            out[rel] = f"-> {os.readlink(path)}"
        elif path.is_file() and not rel.startswith(".kemu") and "kemu-build" not in rel:
            out[rel] = f"{path.stat().st_mode:o} {path.read_text()}"
    return out


def follow(copy: Copy, changed: dict[str, bytes | None] | None = None) -> set[str]:
    """Update a copy: it is the tree then. What make would take for new."""
    objects = time.time_ns()
    time.sleep(0.02)                   # the clock of a file system has ticks
    copy.update(copy.tree.identity(), changed or {})
    if not changed:
        assert contents(copy.path) == contents(copy.tree.path)
    return {str(p.relative_to(copy.path)) for p in copy.path.rglob("*.[ch]") if p.lstat().st_mtime_ns > objects}


def edit_by_rename(top: Path) -> None:
    put(top / "fs/a.c", "edited\n")


def edit_in_place(top: Path) -> None:
    (top / "fs/a.c").write_text("edited\n")


def edit_within_the_second(top: Path) -> None:
    put(top / "fs/a.c", "A\n", OLD + 1)


def edit_in_place_to_an_old_time(top: Path) -> None:
    edit_in_place(top)
    os.utime(top / "fs/a.c", ns=(OLD + 1, OLD + 1))


@pytest.mark.parametrize("edit", [edit_by_rename, edit_in_place, edit_within_the_second, edit_in_place_to_an_old_time])
def test_an_edited_file_is_new_to_make_whatever_its_time(copy: Copy, edit: Callable[[Path], None]) -> None:
    edit(copy.tree.path)
    assert follow(copy) == {"fs/a.c"}
    assert follow(copy) == set()


@pytest.mark.parametrize("edit", [edit_by_rename, edit_in_place])
def test_a_file_that_is_changed_back_is_new_once_more(copy: Copy, edit: Callable[[Path], None]) -> None:
    kept = copy.tree.path.parent / "kept.c"
    shutil.copy2(copy.tree.path / "fs/a.c", kept)
    first = copy.tree.identity()
    edit(copy.tree.path)
    assert follow(copy) == {"fs/a.c"}
    os.rename(kept, copy.tree.path / "fs/a.c")         # with the time that it had
    assert copy.tree.identity() == first
    assert follow(copy) == {"fs/a.c"}


def test_a_file_that_is_touched_and_not_changed_is_not_compiled(copy: Copy) -> None:
    put(copy.tree.path / "fs/a.c", "a\n", OLD + 5)     # as a branch that is left and come back to
    assert follow(copy) == set()


def test_files_that_are_added_and_removed(copy: Copy) -> None:
    put(copy.tree.path / "fs/new/n.c", "n\n")
    (copy.tree.path / "fs/b.c").unlink()
    shutil.rmtree(copy.tree.path / "fs/deep")
    assert follow(copy) == {"fs/new/n.c"}
    assert not (copy.path / "fs/deep").exists()
    put(copy.tree.path / "fs/b.c", "other\n")          # and one comes back with an old time
    assert follow(copy) == {"fs/b.c"}


def test_a_file_becomes_a_folder_and_a_folder_a_file(copy: Copy) -> None:
    (copy.tree.path / "fs/b.c").unlink()
    put(copy.tree.path / "fs/b.c/x.c", "x\n")
    shutil.rmtree(copy.tree.path / "fs/deep")
    put(copy.tree.path / "fs/deep", "file\n")
    follow(copy)
    assert (copy.path / "fs/deep").read_text() == "file\n" and (copy.path / "fs/b.c/x.c").read_text() == "x\n"


def test_modes_and_links(copy: Copy) -> None:
    before = copy.tree.identity()
    (copy.tree.path / "scripts/run.sh").chmod(0o755)
    assert copy.tree.identity() != before
    follow(copy)
    (copy.tree.path / "fs/link.c").unlink()
    os.symlink("b.c", copy.tree.path / "fs/link.c")
    follow(copy)
    (copy.tree.path / "fs/link.c").unlink()
    put(copy.tree.path / "fs/link.c", "no link any more\n")
    follow(copy)
    assert not (copy.path / "fs/link.c").is_symlink()


@pytest.mark.parametrize("tamper", ["write", "rename", "remove", "add", "rmtree", "folder"])
def test_a_copy_that_was_edited_by_hand_is_the_trees_again(copy: Copy, tamper: str) -> None:
    place = copy.path / "fs/b.c"
    if tamper == "write":
        if place.stat().st_nlink > 1:
            place.unlink()             # through the link it would be the tree's own
        place.write_text("mine\n")
    elif tamper == "rename":
        put(place, "mine\n")
    elif tamper == "remove":
        place.unlink()
    elif tamper == "add":
        put(copy.path / "fs/deep/mine/more.c", "mine\n")
    elif tamper == "rmtree":
        shutil.rmtree(copy.path / "fs/deep")
    else:
        place.unlink()
        place.mkdir()
        (place / "x.c").write_text("mine\n")
    edit_by_rename(copy.tree.path)
    made = follow(copy)
    assert "fs/a.c" in made and ("fs/b.c" in made) == (tamper in ("write", "rename", "remove", "folder"))


def test_the_trees_own_files_are_never_written(copy: Copy) -> None:
    before = {p: (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in copy.tree.path.rglob("*") if not p.is_dir()}
    follow(copy, {"fs/b.c": b"patched\n", "fs/more.c": b"new\n", "include/d.h": None})
    follow(copy)
    assert before == {p: (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in copy.tree.path.rglob("*") if not p.is_dir()}


def test_a_patched_file_that_the_tree_changes_meanwhile(copy: Copy) -> None:
    follow(copy, {"fs/b.c": b"patched\n"})
    put(copy.tree.path / "fs/b.c", "newer\n")
    assert follow(copy, {"fs/b.c": b"patched\n"}) == set()
    assert follow(copy) == {"fs/b.c"}
    assert follow(copy) == set()


def test_a_copy_of_which_only_the_list_is_lost(copy: Copy) -> None:
    put(copy.path / "fs/a.c", "mine\n")
    (copy.path / ".kemu-mirror").write_text("half of")
    put(copy.path / "fs/stranger.c", "mine\n")
    put(copy.tree.path / "fs/b.c", "newer\n")
    assert follow(copy) == {"fs/a.c", "fs/b.c"}


def test_objects_of_another_copy_do_not_hide_what_is_other_here(tree: Tree, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain tree's objects were made of an edit that is taken back, and of an own file; the series has a file of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base = tmp_path / "cache/kemu/linux/work"
    plain, series = Copy(tree, base / f"{tree.slot()}-plain"), Copy(tree, base / f"{tree.slot()}-series")
    follow(plain)
    (plain.path / "kemu-build-fast").mkdir()
    shutil.copy2(tree.path / "fs/a.c", tmp_path / "kept.c")
    edit_by_rename(tree.path)
    follow(plain, {"fs/b.c": b"plain's own\n"})
    os.rename(tmp_path / "kept.c", tree.path / "fs/a.c")
    follow(series, {"fs/deep/er/c.c": b"patched\n"})
    made = plain.path / "kemu-build-fast/.kemu-objects"
    time.sleep(0.02)
    made.write_text("")
    time.sleep(0.02)
    seed(Recipe(tree, slot="series"), series.path / "kemu-build-fast", lambda text: None)
    assert (series.path / "kemu-build-fast/.kemu-objects").exists()
    newer = {str(p.relative_to(series.path)) for p in series.path.rglob("*.[ch]")
             if p.lstat().st_mtime_ns > made.stat().st_mtime_ns}
    assert newer == {"fs/a.c", "fs/b.c", "fs/deep/er/c.c"}
    assert (series.path / "fs/a.c").read_text() == "a\n" and (series.path / "fs/b.c").read_text() == "b\n"


def test_find_and_python_list_the_same(tree: Tree) -> None:
    for name in ("fs/x.o", "fs/.x.o.cmd", ".config", "fs/deep/.config", "include/generated/g.h", "arch/um/include/generated/g.h",
                 ".git/HEAD", "build [1]/.config", "build [1]/x.c", "fs/with a blank.c", "kemu-build-x/y.c"):
        put(tree.path / name, name)
    os.mkfifo(tree.path / "fs/fifo")
    found = ls._found(tree.path)
    assert found is not None and Listing(found).lines == Listing(ls._scanned(tree.path)).lines
    paths = {ls.path_of(line) for line in found}
    assert paths == {*FILES, "fs/link.c", "fs/deep/.config", "fs/with a blank.c", "fs/fifo"}
    assert ls.time_of(next(line for line in found if line.endswith(b" fs/a.c"))) == OLD
