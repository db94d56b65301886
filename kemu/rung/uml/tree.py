# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree, and the copies of it that we build in. The user's tree is never written to.

A copy is made of hard links, so it costs seconds and no space; a file that a patch changes becomes a file of its own. A build
directory inside the copy makes kbuild use relative paths (``srctree=..``), so a copy with its builds can be copied again for the
next series and only what the series touches is compiled.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.uml.cache import DEFAULT_VERSION, default_tree, write_whole
from kemu.rung.uml.errors import ConfigError, PatchError

# what a build inside the user's tree leaves behind; with it in the copy kbuild refuses to build elsewhere
_BUILT_DIRS = {"include/config", "include/generated", "tools/testing/kunit/__pycache__"}
_BUILT_SUFFIXES = (".o", ".a", ".cmd", ".ko", ".mod", ".order", ".gcno", ".gcda", ".pyc", ".orig", ".rej")
_BUILT_FILES = {".config", ".config.old", "vmlinux", "linux", "System.map", "Module.symvers", "modules.builtin"}
_TOP_SKIP = {".git", ".kunit", "debian"}
BUILD_PREFIX = "kemu-build-"


@dataclass(frozen=True)
class Tree:
    """A kernel source tree."""

    path: Path

    @property
    def version(self) -> str:
        """``"7.2.13"`` from the Makefile's first lines."""
        head = self._makefile_head()
        parts = {m[1]: m[2].strip() for m in re.finditer(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) =(.*)$", head, re.M)}
        text = f"{parts.get('VERSION', '?')}.{parts.get('PATCHLEVEL', '?')}"
        if parts.get("SUBLEVEL", "0") not in ("0", ""):
            text += "." + parts["SUBLEVEL"]
        return text + parts.get("EXTRAVERSION", "")

    def _makefile_head(self) -> str:
        with open(self.path / "Makefile", encoding="utf-8", errors="replace") as f:
            return f.read(400)

    @property
    def ours(self) -> bool:
        """Whether ``kemu linux fetch`` put it there: then nobody edits it, and its version is its identity."""
        return (self.path / ".kemu-fetched").exists()

    def identity(self) -> str:
        """A short name for the contents: changes when any source file is added, removed or touched."""
        if self.ours:
            return hashlib.sha256((self.path / ".kemu-fetched").read_bytes()).hexdigest()[:16]
        return hashlib.sha256(_listing(self.path)).hexdigest()[:16]

    def choices(self) -> str:
        """A short name for what a configuration is made of: changes when a Kconfig file, or a tool that Kconfig asks, is added,
        removed or touched.
        """
        if self.ours:
            return self.identity()
        names = ["(", "-name", "Kconfig*", "-o", "-path", "./scripts/*", ")", "-type", "f"]
        try:
            done = subprocess.run(["find", ".", *names, "-printf", "%P %s %T@\n"], cwd=self.path, capture_output=True)
        except FileNotFoundError:
            return self.identity()
        return hashlib.sha256(b"".join(sorted(done.stdout.splitlines(keepends=True)))).hexdigest()[:16]

    def slot(self) -> str:
        """A short name for the place: one per path, the same after edits."""
        return hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:8]


def find_tree(path: str | os.PathLike[str] | None = None) -> Tree:
    """The tree at ``path``, or the one that ``kemu linux fetch`` keeps. ``ConfigError`` if there is none."""
    place = Path(path) if path else default_tree()
    if not (place / "Makefile").is_file() or not (place / "arch" / "um" / "Kconfig").is_file():
        if path:
            raise ConfigError(f"{place}: not a kernel tree (no Makefile or arch/um there)")
        raise ConfigError(f"no kernel tree: run `kemu linux fetch` (Debian's linux-source-{DEFAULT_VERSION}) or give --tree TREE")
    return Tree(place.resolve())


def source_files(top: Path) -> list[tuple[str, os.stat_result]]:
    """``(relative path, lstat)`` of every source file, sorted; what builds leave behind is left out."""
    out: list[tuple[str, os.stat_result]] = []
    stack = [""]
    while stack:
        rel = stack.pop()
        with os.scandir(top / rel if rel else top) as it:
            for e in it:
                name = f"{rel}/{e.name}" if rel else e.name
                if e.is_dir(follow_symlinks=False):
                    if name in _BUILT_DIRS or name.endswith("/include/generated") or (not rel and _skip_top(e.name, e.path)):
                        continue
                    stack.append(name)
                elif not (name.endswith(_BUILT_SUFFIXES) or name in _BUILT_FILES):
                    out.append((name, e.stat(follow_symlinks=False)))
    out.sort()
    return out


def _listing(top: Path) -> bytes:
    """Path, size and time of every source file; by find(1), which takes a quarter of a second for a kernel tree."""
    skip = [f"./{e.name}" for e in os.scandir(top) if e.is_dir(follow_symlinks=False) and _skip_top(e.name, e.path)]
    pruned = [word for path in [*skip, *(f"./{d}" for d in _BUILT_DIRS), "*/include/generated"]
              for word in ("-path", path, "-prune", "-o")]
    left_out = [word for suffix in _BUILT_SUFFIXES for word in ("!", "-name", f"*{suffix}")]
    left_out += [word for name in _BUILT_FILES for word in ("!", "-path", f"./{name}")]
    try:
        done = subprocess.run(["find", ".", *pruned, "!", "-type", "d", *left_out, "-printf", "%P %s %T@\n"], cwd=top,
                              capture_output=True)
    except FileNotFoundError:
        done = None
    if done and not done.returncode:
        return done.stdout
    return "".join(f"{rel} {st.st_size} {st.st_mtime_ns}\n" for rel, st in source_files(top)).encode("utf-8", "surrogateescape")


def _skip_top(name: str, path: str) -> bool:
    """Of the top level: git's own, and directories that someone built in (O=build)."""
    return name in _TOP_SKIP or name.startswith(BUILD_PREFIX) or os.path.exists(os.path.join(path, ".config"))


class Copy:
    """A hard-linked copy of a tree with files changed on top of it.

    ``update()`` makes the copy equal to the tree plus the changed files, touching only what differs, so that the next make
    compiles only that. The copy remembers in ``.kemu-copy`` which files are its own.
    """

    def __init__(self, tree: Tree, path: Path):
        self.tree = tree
        self.path = path
        self._state_path = path / ".kemu-copy"

    def _state(self) -> dict[str, object]:
        try:
            state = json.loads(self._state_path.read_text())
            return state if isinstance(state, dict) else {}
        except (OSError, ValueError):
            return {}

    def update(self, identity: str, changed: dict[str, bytes | None]) -> None:
        """Bring the copy to: the tree, with ``changed`` on top (path -> contents, None = deleted)."""
        state = self._state()
        own = state.get("own")
        before = [str(p) for p in own] if isinstance(own, list) else []
        if not state and self.path.exists():
            shutil.rmtree(self.path)                   # nothing is known of it, and objects in it may be of other sources
        # whoever comes after one that was killed knows all that may differ from the tree
        self._note(str(state.get("identity", "")), {*before, *changed})
        if state.get("identity") != identity:
            self._note("", {*before, *changed})
            self._mirror(set(before) | set(changed))
        for rel in before:
            if rel not in changed:
                self._restore(rel)
        for rel, data in changed.items():
            self._write(rel, data)
        self._note(identity, set(changed))

    def _note(self, identity: str, own: set[str]) -> None:
        write_whole(self._state_path, json.dumps({"identity": identity, "own": sorted(own)}))

    def _mirror(self, own: set[str]) -> None:
        """Link every source file that is not yet the tree's; drop what the tree no longer has."""
        self.path.mkdir(parents=True, exist_ok=True)
        files = source_files(self.tree.path)
        present = {rel: st.st_ino for rel, st in source_files(self.path)}
        made: set[str] = set()
        for rel, st in files:
            have = present.pop(rel, None)
            if rel in own or have == st.st_ino:
                continue
            dst = self.path / rel
            folder = os.path.dirname(rel)
            if folder not in made:
                dst.parent.mkdir(parents=True, exist_ok=True)
                made.add(folder)
            if have is not None:
                dst.unlink()
            _link(self.tree.path / rel, dst)
        for rel in present:
            if rel not in own and not rel.startswith(".kemu"):
                (self.path / rel).unlink()

    def _restore(self, rel: str) -> None:
        """A file that is no longer changed: the tree's contents, with a new time so that make sees it."""
        dst, src = self.path / rel, self.tree.path / rel
        if not src.exists():
            dst.unlink(missing_ok=True)
        elif not dst.exists() or dst.read_bytes() != src.read_bytes():
            dst.unlink(missing_ok=True)
            shutil.copyfile(src, dst)
            shutil.copymode(src, dst)

    def _write(self, rel: str, data: bytes | None) -> None:
        refuse_links(self.path, rel)
        dst = self.path / rel
        if data is None:
            dst.unlink(missing_ok=True)
            return
        if dst.exists() and dst.read_bytes() == data:
            return
        dst.parent.mkdir(parents=True, exist_ok=True)
        mode = dst.stat().st_mode & 0o777 if dst.exists() else 0o644
        dst.unlink(missing_ok=True)               # never through the hard link
        dst.write_bytes(data)
        dst.chmod(mode)


def refuse_links(top: Path, rel: str) -> None:
    """``PatchError`` unless ``rel`` is a regular file below ``top``, or could be one, without a symbolic link on the way."""
    path = top
    parts = rel.split("/")
    for i, part in enumerate(parts):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as e:
            raise PatchError(f"{rel}: {os.strerror(e.errno or 0)}") from None
        here = "/".join(parts[:i + 1])
        if stat.S_ISLNK(mode):
            raise PatchError(f"{rel}: {'' if here == rel else f'{here} '}is a symbolic link in the tree: patches of regular "
                             f"files only are taken")
        if i < len(parts) - 1 and not stat.S_ISDIR(mode):
            raise PatchError(f"{rel}: {here} is no folder in the tree")
        if i == len(parts) - 1 and not stat.S_ISREG(mode):
            raise PatchError(f"{rel}: {'a folder' if stat.S_ISDIR(mode) else 'no regular file'} in the tree")


def _link(src: Path, dst: Path) -> None:
    try:
        os.link(src, dst, follow_symlinks=False)
    except OSError:                               # another file system, or too many links
        shutil.copy2(src, dst, follow_symlinks=False)
