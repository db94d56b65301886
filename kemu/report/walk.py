# SPDX-License-Identifier: GPL-2.0-only
"""A tree as user space sees it, walked through the VFS of the current machine.

The same calls in the same order as the agent of the Linux rung makes them: for each inode stat, listxattr and getxattr, then
readlink, or getdents to the end, or reads of 128 KiB to the end; the first that fails is the entry's error. A directory's own
entry is complete before its children are looked up.
"""
from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from kemu.linux.dcache import shrink_dcache_sb
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import ENOSYS, EOPNOTSUPP
from kemu.linux.fcntl import O_DIRECTORY, O_LARGEFILE, O_NOFOLLOW, O_RDONLY
from kemu.linux.fs import File, Kstat, SuperBlock, vfs_getattr, vfs_read
from kemu.linux.fs.namei import vfs_readlink
from kemu.linux.fs.open import file_open_root, filp_close
from kemu.linux.fs.readdir import getdents64
from kemu.linux.fs.stat import cp_new_stat
from kemu.linux.kdev_t import MAJOR, MINOR
from kemu.linux.mm.truncate import invalidate_mapping_pages
from kemu.linux.namei import filename_lookup, getname
from kemu.linux.path import Path, path_put
from kemu.linux.stat import S_IFMT, S_ISBLK, S_ISCHR, S_ISDIR, S_ISLNK, S_ISREG, STATX_BASIC_STATS
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.linux.xattr import do_getxattr, listxattr, vfs_listxattr
from kemu.machine.current import this
from kemu.report.facts import of_inode, unseen
from kemu.report.manifest import Entry, ManifestError, entry, ordered, type_of_mode

CHUNK = 1 << 17                 # what the agent reads at once
DENTS = 32768
TARGET = 8192
CAP = 1 << 30                   # files with more bytes are not read to the end: sha256 null, "capped" true
WHOLE = 1 << 62                 # a cap that is none: a ReadLimit says what is too much
READ_LIMIT = 1 << 30            # bytes of all files that a walk reads of a small image
READ_RATIO = 16                 # and of a larger one: so many for each of its bytes
DROP_BEHIND = 16 << 20          # pages of a larger file are dropped while it is read, as POSIX_FADV_DONTNEED does
MANY_INODES = 20_000            # names of more are not kept
MOST = 1 << 20                  # entries; a corrupt image can name itself


def errno_name(error: int) -> str:
    """``"EUCLEAN"`` for -117."""
    return errno.errorcode.get(-error, f"errno {-error}")


def _settle() -> None:
    """The task returns to user mode: what it closed is gone."""
    task_work_run()
    this.machine.idle()


def relieve(sb: SuperBlock) -> None:
    """What the kernel's reclaim does for a walk that is larger than memory: clean pages and unused names go."""
    machine = this.machine
    if machine.counters.pages_in_use * 2 > machine.mem.nr_pages:
        for inode in list(sb.s_inodes):
            if inode.i_mapping.nrpages:
                invalidate_mapping_pages(inode.i_mapping, 0, 1 << 50)
    if len(sb.s_inodes) > MANY_INODES:
        shrink_dcache_sb(sb)
        _settle()


class ReadLimit:
    """How many bytes of files may be read in all: sizes of files are numbers in an image, and an image of a page can have
    petabytes.

    ``over``: the path at which it was used up, or "".
    """

    __slots__ = ("left", "limit", "over")

    def __init__(self, limit: int):
        self.limit = self.left = limit
        self.over = ""

    @staticmethod
    def for_image(allocated: int) -> ReadLimit:
        """As much as an image of so many bytes (holes do not count) can have in earnest."""
        return ReadLimit(max(READ_LIMIT, READ_RATIO * allocated))

    def take(self, n: int, path: bytes) -> bool:
        """Whether ``n`` bytes more may be read."""
        self.left -= n
        if self.left < 0 and not self.over:
            self.over = os.fsdecode(path)
        return self.left >= 0


class _Directory:
    """A directory on the way: its open file, its path as bytes, and the names that are still to visit."""

    __slots__ = ("file", "names", "path")

    def __init__(self, file: File, path: bytes, names: list[bytes]):
        self.file = file
        self.path = path
        self.names = names
        names.reverse()


def walk(root: Path, *, cap: int = CAP, most: int = MOST, contents: bool = True, settle: Callable[[], object] = _settle,
         limit: ReadLimit | None = None, facts: list[str] | None = None) -> Iterator[Entry]:
    """Entries of the tree below ``root``, in the order of the walk. Without ``contents`` files are not read; what is beyond
    ``limit`` is not, either. ``settle`` does what closing a directory put off; in a task among others that must not run the
    others too. What else can be seen of each inode (facts.py) is added to ``facts``.
    """
    w = _Walk(cap, contents, limit, facts)
    stack: list[_Directory] = []
    e, d = w.visit(root, b"")
    yield e
    count = 1
    if d is not None:
        stack.append(d)
    try:
        while stack and count < most:
            top = stack[-1]
            if not top.names:
                stack.pop()
                filp_close(top.file, None)
                settle()
                continue
            name = top.names.pop()
            child = Path()
            path = top.path + b"/" + name
            error = filename_lookup(top.file, getname(name, 0), 0, child)
            if error:
                if facts is not None:
                    facts.append(unseen(path, error))
                yield entry(os.fsdecode(path), error=errno_name(error))
                count += 1
                continue
            e, d = w.visit(child, path)
            path_put(child)
            yield e
            count += 1
            if d is not None:
                stack.append(d)
            if not count & 15:
                relieve(root.dentry.d_sb)
    finally:
        for d in reversed(stack):
            filp_close(d.file, None)
        settle()


def list_one(place: Path, name: bytes) -> tuple[list[Entry], int]:
    """What ``ls -l`` needs: the entries below a directory (paths are names), or the one of anything else; and an errno, 0 if
    there was none.
    """
    w = _Walk(0, False)
    e, d = w.visit(place, name)
    if d is None:
        return [e], 0
    out: list[Entry] = []
    for child_name in reversed(d.names):
        child = Path()
        error = filename_lookup(d.file, getname(child_name, 0), 0, child)
        if error:
            out.append(entry(os.fsdecode(child_name), error=errno_name(error)))
            continue
        c, sub = w.visit(child, child_name, names=False)
        if sub is not None:
            filp_close(sub.file, None)
        path_put(child)
        out.append(c)
    filp_close(d.file, None)
    _settle()
    failed = next((n for n, text in errno.errorcode.items() if text == e["error"]), 0)
    return ordered(out), failed


def contents(place: Path) -> Iterator[bytes | int]:
    """A file's bytes in pieces of CHUNK; a last item that is an int is the errno (negative) that ended the reading."""
    file = file_open_root(place, "", O_RDONLY | O_LARGEFILE, 0)
    if IS_ERR(file):
        yield PTR_ERR(file)
        return
    chunk = bytearray(CHUNK)
    pos = Ref(0)
    dropped = 0
    while True:
        n = vfs_read(file, chunk, CHUNK, pos)
        if n <= 0:
            break
        yield bytes(memoryview(chunk)[:n])
        if pos.v - dropped >= DROP_BEHIND:
            invalidate_mapping_pages(file.f_mapping, 0, pos.v // this.mem.page_size - 1)
            dropped = pos.v
    filp_close(file, None)
    _settle()
    if n < 0:
        yield n


def digest_of(w: _Walk, path: Path, name: bytes) -> tuple[int, str | None]:
    """A file's sha256: (0, digest), (1, None) for a file beyond the cap or the limit, or (a negative errno, None)."""
    limit = w.limit
    if limit is not None and limit.over:
        return 1, None
    file = file_open_root(path, "", O_RDONLY | O_NOFOLLOW | O_LARGEFILE, 0)
    if IS_ERR(file):
        return PTR_ERR(file), None
    digest = hashlib.sha256()
    chunk = w.chunk
    pos = Ref(0)
    dropped = 0
    while True:
        n = vfs_read(file, chunk, CHUNK, pos)
        if n <= 0:
            break
        if pos.v > w.cap or (limit is not None and not limit.take(n, name)):
            filp_close(file, None)
            return 1, None
        digest.update(memoryview(chunk)[:n])
        if pos.v - dropped >= DROP_BEHIND:
            invalidate_mapping_pages(file.f_mapping, 0, pos.v // this.mem.page_size - 1)
            dropped = pos.v
    filp_close(file, None)
    task_work_run()
    return (n, None) if n < 0 else (0, digest.hexdigest())


class _Walk:
    __slots__ = ("cap", "chunk", "contents", "facts", "limit")

    def __init__(self, cap: int, contents: bool, limit: ReadLimit | None = None, facts: list[str] | None = None):
        self.cap = cap
        self.facts = facts
        self.limit = limit
        self.contents = contents
        self.chunk = bytearray(CHUNK)

    def visit(self, path: Path, name: bytes, names: bool = True) -> tuple[Entry, _Directory | None]:
        """The entry of one place; for a directory also its names."""
        shown = os.fsdecode(name) or "/"
        st = Kstat()
        error = vfs_getattr(path, st, STATX_BASIC_STATS, 0)
        if error:
            return entry(shown, error=errno_name(error)), None
        st = cp_new_stat(st)
        mode = st.mode
        first = 0
        f: dict[str, Any] = {"mode": mode & 0o7777, "uid": st.uid, "gid": st.gid, "size": st.size, "nlink": st.nlink,
                             "mtime": [st.mtime.tv_sec, st.mtime.tv_nsec]}
        try:
            f["type"] = type_of_mode(mode & S_IFMT)
        except ManifestError:
            f["type"] = None
        if S_ISCHR(mode) or S_ISBLK(mode):
            f["rdev"] = [MAJOR(st.rdev), MINOR(st.rdev)]
        first, f["xattrs"] = self.xattrs(path)
        directory = None
        if S_ISLNK(mode):
            buf = bytearray(TARGET)
            n = vfs_readlink(path.dentry, buf, TARGET)
            if n < 0:
                first = first or n
            else:
                f["target"] = os.fsdecode(bytes(buf[:n]))
        elif S_ISREG(mode):
            if self.contents:
                n, f["sha256"] = digest_of(self, path, name)
                if n == 1:
                    f["capped"] = True
                else:
                    first = first or n
        elif S_ISDIR(mode) and names:
            n, directory = self.list(path, name)
            first = first or n
        if first:
            f["error"] = errno_name(first)
        if self.facts is not None:
            self.facts.append(of_inode(path, name))
        return entry(shown, **f), directory

    def xattrs(self, path: Path) -> tuple[int, dict[str, str | None] | None]:
        size = vfs_listxattr(path.dentry, 0, 0)
        if size == 0:
            return 0, {}
        names = listxattr(path.dentry, size) if size > 0 else size
        if isinstance(names, int):
            return (0, {}) if names in (-EOPNOTSUPP, -ENOSYS) else (names, None)
        out: dict[str, str | None] = {}
        for name in names.split(b"\0")[:-1]:
            value = do_getxattr(path.mnt.mnt_idmap, path.dentry, name)
            out[os.fsdecode(name)] = None if isinstance(value, int) else value.hex()
        return 0, out

    def list(self, path: Path, name: bytes) -> tuple[int, _Directory | None]:
        file = file_open_root(path, "", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
        if IS_ERR(file):
            return PTR_ERR(file), None
        names: list[bytes] = []
        while True:
            n, entries = getdents64(file, DENTS)
            if n <= 0:
                break
            for raw, _, _, _ in entries:
                text = raw.split(b"\0", 1)[0]       # user space sees C strings
                if text not in (b".", b".."):
                    names.append(text)
        return n, _Directory(file, name, names)
