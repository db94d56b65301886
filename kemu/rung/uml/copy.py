# SPDX-License-Identifier: GPL-2.0-only
"""The copies of a tree that we build in.

A copy is made of hard links, so it costs seconds and no space; a file that a patch changes becomes a file of its own, and so does
one that changes in the tree later. A build directory inside the copy makes kbuild use relative paths (``srctree=..``), so a copy
with its builds can be copied again for the next series and only what the series touches is compiled.
"""
from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from kemu.rung.uml.cache import write_whole
from kemu.rung.uml.errors import PatchError
from kemu.rung.uml.listing import BUILD_PREFIX, Listing, is_source, is_source_folder, path_of, time_of
from kemu.rung.uml.tree import Tree


class Copy:
    """A hard-linked copy of a tree with files changed on top of it.

    ``update()`` makes the copy equal to the tree plus the changed files, touching only what differs, so that the next make
    compiles only that. What it replaces has the time of now, whatever the tree says: objects that were made of what was there
    before are older. The copy remembers in ``.kemu-copy`` which files are its own, and in ``.kemu-mirror`` what it is equal to.
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

    def _own(self) -> list[str]:
        own = self._state().get("own")
        return [str(p) for p in own] if isinstance(own, list) else []

    def update(self, identity: str, changed: dict[str, bytes | None], listing: Listing | None = None) -> None:
        """Bring the copy to: the tree, with ``changed`` on top (path -> contents, None = deleted). ``listing``: the tree's, if
        it has been read already.
        """
        state = self._state()
        before = self._own()
        if not state and self.path.exists():
            shutil.rmtree(self.path)                   # nothing is known of it, and objects in it may be of other sources
        # whoever comes after one that was killed knows all that may differ from the tree
        self._note(str(state.get("identity", "")), {*before, *changed})
        if state.get("identity") != identity:
            self._note("", {*before, *changed})
            self._mirror(listing or self.tree.listing(), set(before) | set(changed))
        for rel in before:
            if rel not in changed:
                self._restore(rel)
        for rel, data in changed.items():
            self._write(rel, data)
        self._note(identity, set(changed))

    def _note(self, identity: str, own: set[str]) -> None:
        write_whole(self._state_path, json.dumps({"identity": identity, "own": sorted(own)}))

    def _mirror(self, now: Listing, own: set[str]) -> None:
        """Make every source file that is not the copy's own the tree's; drop what the tree no longer has.

        Looked at are: what the tree's listing says otherwise than the last time; what is in folders of the copy that have changed
        since; and the copy's files that are no links, which can change without their folder.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        objects = any(self.path.glob(f"{BUILD_PREFIX}*"))
        seen = Mirrored(self.path)
        added, edited, gone = now.changed(seen.listing)
        lost, here = seen.lost_folders()
        inside = now.within(lost)
        gone = (gone | (here - inside)) - own
        want = (added | edited | inside | seen.touched()) - own
        for rel in gone:
            self._remove(rel)
            seen.private.pop(rel, None)
        for rel in want:
            self._bring(rel, seen, objects, rel in edited)
        seen.listing = now
        seen.note(lost | {os.path.dirname(rel) for rel in gone | want})

    def _remove(self, rel: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            (self.path / rel).unlink()
        folder = os.path.dirname(rel)
        with suppress(OSError):                        # the first that is not empty
            while folder:
                (self.path / folder).rmdir()
                folder = os.path.dirname(folder)

    def _bring(self, rel: str, seen: Mirrored, objects: bool, edited: bool) -> None:
        """One file. It is a link unless there are objects: they may be of what was here before, and newer than the tree's file.
        """
        src, dst = self.tree.path / rel, self.path / rel
        theirs, mine = _lstat(src), _lstat(dst)
        if theirs is None:
            return                                     # it has gone meanwhile: the next listing says so
        if mine and os.path.samestat(theirs, mine) and not edited:
            seen.private.pop(rel, None)
            return
        if mine and not os.path.samestat(theirs, mine) and _same(src, theirs, dst, mine):
            seen.private[rel] = mine.st_mtime_ns
            return
        if mine and stat.S_ISDIR(mine.st_mode):
            shutil.rmtree(dst)
            mine = None
        dst.parent.mkdir(parents=True, exist_ok=True)
        if mine and not objects:
            dst.unlink()
        if objects or not _link(src, dst):
            _copy(src, dst, with_time=not objects)
            seen.private[rel] = dst.lstat().st_mtime_ns

    def renew(self, plain: Copy) -> None:
        """Objects that were made in another copy of the tree are about to be used in this one: what is another file there, or has
        been, gets the time of now here.
        """
        mine, theirs = Mirrored(self.path), Mirrored(plain.path)
        odd = set(plain._own())
        if theirs.private:
            times = {path_of(line): time_of(line) for line in mine.listing.lines}
            odd |= {rel for rel, ns in theirs.private.items() if times.get(rel) != ns}
        if theirs.listing.lines:
            odd = odd.union(*mine.listing.changed(theirs.listing))
        own = set(self._own())
        for rel in own:
            with suppress(OSError):
                os.utime(self.path / rel, follow_symlinks=False)
        for rel in odd - own:
            if _lstat(self.path / rel) and _lstat(self.tree.path / rel):
                _copy(self.tree.path / rel, self.path / rel, with_time=False)
                mine.private[rel] = (self.path / rel).lstat().st_mtime_ns
        mine.note(())

    def _restore(self, rel: str) -> None:
        """A file that is no longer changed: the tree's contents, with a new time so that make sees it."""
        dst, src = self.path / rel, self.tree.path / rel
        if not src.exists():
            dst.unlink(missing_ok=True)
        elif not dst.exists() or dst.read_bytes() != src.read_bytes():
            _copy(src, dst, with_time=False)

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


class Mirrored:
    """What a copy was made equal to, kept in ``.kemu-mirror``. ``listing``: the tree's; ``folders``: the copy's, and their times;
    ``private``: its files that are no links to the tree's, and their times.
    """

    def __init__(self, top: Path):
        self.top = top
        self.listing = Listing(())
        self.folders: dict[str, int] = {}
        self.private: dict[str, int] = {}
        with suppress(OSError, ValueError, TypeError, KeyError):
            head, _, lines = self._path.read_bytes().partition(b"\n")
            about = json.loads(head)
            folders, private = dict(about["folders"]), dict(about["private"])
            self.listing = Listing(lines.split(b"\0"))
            self.folders, self.private = folders, private

    @property
    def _path(self) -> Path:
        return self.top / ".kemu-mirror"

    def _time(self, rel: str) -> int | None:
        try:
            return os.lstat(f"{self.top}/{rel}").st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return None

    def lost_folders(self) -> tuple[set[str], set[str]]:
        """Folders of the copy that are not as they were left, and the source files that are in them."""
        lost = {folder for folder, ns in self.folders.items() if self._time(folder) != ns} | {""}
        files: set[str] = set()
        stack = list(lost)
        while stack:
            folder = stack.pop()
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.top / folder) as it:
                for e in it:
                    rel = f"{folder}/{e.name}" if folder else e.name
                    if e.is_dir(follow_symlinks=False):
                        if rel not in self.folders and rel not in lost and is_source_folder(rel, e.path):
                            lost.add(rel)
                            stack.append(rel)
                    elif is_source(rel) and not rel.startswith(".kemu"):
                        files.add(rel)
        return lost, files

    def touched(self) -> set[str]:
        """Files that are no links, and are not as they were left."""
        return {rel for rel, ns in self.private.items() if self._time(rel) != ns}

    def note(self, folders: Iterable[str]) -> None:
        """Keep it, with the times that these folders, and those that they are in, have now."""
        every: set[str] = set()
        for folder in folders:
            while folder not in every:
                every.add(folder)
                folder = os.path.dirname(folder)
        for folder in every:
            ns = self._time(folder)
            if ns is None:
                self.folders.pop(folder, None)
            else:
                self.folders[folder] = ns
        about = json.dumps({"folders": self.folders, "private": self.private})
        write_whole(self._path, about.encode() + b"\n" + b"\0".join(self.listing.lines))


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


# ---- files ----

def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _same(a: Path, a_st: os.stat_result, b: Path, b_st: os.stat_result) -> bool:
    """Whether two files have the same mode and contents."""
    if a_st.st_mode != b_st.st_mode or a_st.st_size != b_st.st_size:
        return False
    if stat.S_ISLNK(a_st.st_mode):
        return os.readlink(a) == os.readlink(b)
    return stat.S_ISREG(a_st.st_mode) and a.read_bytes() == b.read_bytes()


def _link(src: Path, dst: Path) -> bool:
    try:
        os.link(src, dst, follow_symlinks=False)
        return True
    except OSError:                               # another file system, or too many links
        return False


def _copy(src: Path, dst: Path, with_time: bool) -> None:
    """Never through a link, and never a half: written beside it and renamed."""
    beside = dst.with_name(f".kemu-{os.getpid()}.part")
    shutil.copy2(src, beside, follow_symlinks=False)
    if not with_time:
        os.utime(beside, follow_symlinks=False)
    beside.rename(dst)
