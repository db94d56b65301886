# SPDX-License-Identifier: GPL-2.0-only
"""What the experiments do with an image: place it, mount it through a back end, walk it, unmount it.

Everything goes through the emulated VFS as a user's system calls would; results are errnos and manifest entries.
"""
from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from kemu.linux.brd import ramdisk, ramdisk_remove
from kemu.linux.cred import current_cred
from kemu.linux.dcache import dput
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EIO
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs import DirContext, Kstat, iterate_dir, vfs_getattr, vfs_read
from kemu.linux.fs_context import fs_context_for_mount, put_fs_context
from kemu.linux.kdev_t import MAJOR, MINOR
from kemu.linux.path import Path
from kemu.linux.slab import kfree
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref, this
from kemu.linux.vfs.basic import Qstr
from kemu.linux.vfs.file_table import __fput_sync
from kemu.linux.vfs.filesystems import get_fs_type, put_filesystem
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.mnt_init import mnt_init
from kemu.linux.vfs.mounts import mntput
from kemu.linux.vfs.namespace import fc_mount, vfs_kern_mount
from kemu.linux.vfs.open import dentry_open
from kemu.linux.vfs.stat import vfs_readlink
from kemu.linux.vfs.walk import lookup_slow
from kemu.linux.xattr import do_getxattr, listxattr

from erofs_memback import memback, memback_rfc, super

__harness__ = True
BACKENDS = ("bdev", "memback", "memback-rfc")
SERIES: dict[str, list[Any]] = {"bdev": [], "memback": [memback.series], "memback-rfc": [memback_rfc.series]}
SB_RDONLY = 1
_TYPES = {0o100000: "file", 0o040000: "dir", 0o120000: "symlink", 0o020000: "char", 0o060000: "block", 0o010000: "fifo", 0o140000: "socket"}
FIELDS = ("path", "type", "mode", "uid", "gid", "size", "nlink", "mtime", "rdev", "target", "xattrs", "sha256", "error")


def errname(err: int) -> str:
    """``EIO`` for -5."""
    return errno.errorcode.get(-err, "ENOTSUPP" if err == -524 else str(-err))


def start() -> None:
    """The kernel is up: a root file system is mounted, and what is made when it is first needed has been needed once."""
    mnt_init()
    __fput_sync(dentry_open(current_fs().root, O_RDONLY, current_cred()))


def boot() -> None:
    """The same with EROFS registered."""
    start()
    err = super.erofs_module_init()
    if err:
        raise AssertionError(f"erofs_module_init: {errname(err)}")


class Source:
    """An image in memory, and what its back end needs besides: a disk or a region object. ``drop()`` takes it down."""

    def __init__(self, backend: str, region: Any, pad: int = 4096):
        self.backend = backend
        self.region = region
        self.disk: Any = None
        self.object: Any = None
        self.released: Callable[[], None] | None = None         # memback: called when the last user is gone
        if backend == "bdev":
            self.disk = ramdisk(self.region, pad=max(pad, this.mem.page_size), completion="sync")
        elif backend == "memback":
            self.region.lend("memback")
            self.object = memback.erofs_memback_region_alloc(self.region.addr, self.region.size, self._released)

    def _released(self, region: Any) -> None:
        self.region.give_back("memback")
        if self.released is not None:
            self.released()

    def mount(self, options: str | None = None) -> Any:
        """The mount, or ERR_PTR."""
        fstype = get_fs_type("erofs")
        mnt = self._mount(fstype, options)
        put_filesystem(fstype)
        if IS_ERR(mnt):
            settle()
        return mnt

    def _mount(self, fstype: Any, options: str | None) -> Any:
        if self.backend == "bdev":
            return vfs_kern_mount(fstype, SB_RDONLY, "/dev/" + self.disk.disk_name, options)
        if self.backend == "memback-rfc":
            memback_rfc.erofs_memback_set_pending(self.region.addr, self.region.size)
            return vfs_kern_mount(fstype, SB_RDONLY, "none", options)
        fc = fs_context_for_mount(fstype, SB_RDONLY)
        if IS_ERR(fc):
            return fc
        err = memback.erofs_fc_set_memback(fc, self.object)
        mnt = fc_mount(fc) if not err else err
        put_fs_context(fc)
        return mnt

    def drop(self) -> None:
        """Nobody uses it any more."""
        if self.disk is not None:
            ramdisk_remove(self.disk)
        if self.object is not None:
            memback.erofs_memback_region_put(self.object)


def settle() -> None:
    """The task returns to user space, and everybody else does what is left to do."""
    task_work_run()
    this.machine.idle()


def umount(mnt: Any) -> None:
    """The last reference of a mount that nobody sees: the superblock goes with it."""
    mntput(mnt)
    settle()


def _stat(path: Path, entry: dict[str, Any]) -> int:
    st = Kstat()
    err = vfs_getattr(path, st, 0x7FF, 0)
    if err:
        return int(err)
    kind = _TYPES.get(st.mode & 0o170000)
    entry.update(type=kind, mode=st.mode & 0o7777, uid=int(getattr(st.uid, "val", st.uid)), gid=int(getattr(st.gid, "val", st.gid)), size=st.size,
                 nlink=st.nlink, mtime=[st.mtime.tv_sec, st.mtime.tv_nsec], rdev=[MAJOR(st.rdev), MINOR(st.rdev)] if kind in ("char", "block") else None)
    return 0


def read_all(path: Path, chunk: int = 65536, take: Callable[[bytes], object] | None = None) -> int:
    """Read a regular file from 0 to its end; returns its length or the first errno."""
    file = dentry_open(path, O_RDONLY, current_cred())
    if IS_ERR(file):
        return PTR_ERR(file)
    pos = Ref(0)
    buf = bytearray(chunk)
    while True:
        n = vfs_read(file, buf, chunk, pos)
        if n <= 0:
            break
        if take is not None:
            take(bytes(buf[:n]))
    __fput_sync(file)
    return n if n < 0 else pos.v


def _names(path: Path) -> tuple[list[bytes], int]:
    file = dentry_open(path, O_RDONLY, current_cred())
    if IS_ERR(file):
        return [], PTR_ERR(file)
    out: list[bytes] = []

    def actor(ctx: Any, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
        if name not in (b".", b".."):
            out.append(bytes(name))
        return True

    ctx = DirContext(actor)
    last = -1
    err = 0
    while ctx.pos != last and len(out) < 100_000:
        last = ctx.pos
        err = iterate_dir(file, ctx)
        if err:
            break
    __fput_sync(file)
    return out, int(err)


def _xattrs(dentry: Any, entry: dict[str, Any]) -> int:
    lst = listxattr(dentry)
    if lst.__class__ is int:
        return int(lst)          # type: ignore[arg-type]
    out: dict[str, str | None] = {}
    for name in [n for n in lst.split(b"\0") if n]:         # type: ignore[union-attr]
        value = do_getxattr(None, dentry, name)
        out[os.fsdecode(name)] = None if value.__class__ is int else value.hex()        # type: ignore[union-attr]
    entry["xattrs"] = out
    return 0


def _entry(path: Path, name: bytes, contents: bool) -> tuple[dict[str, Any], list[bytes]]:
    e: dict[str, Any] = dict.fromkeys(FIELDS)
    e["path"] = os.fsdecode(name)
    names: list[bytes] = []
    err = _stat(path, e)
    if not err and contents and e["type"] == "file":
        h = hashlib.sha256()
        n = read_all(path, take=h.update)
        err = min(n, 0)
        if not err:
            e["sha256"] = h.hexdigest()
    elif not err and e["type"] == "symlink":
        buf = bytearray(4096)
        n = vfs_readlink(path.dentry, buf, 4096)
        err = min(n, 0)
        if not err:
            e["target"] = os.fsdecode(bytes(buf[:n]))
    elif not err and e["type"] == "dir":
        names, err = _names(path)
    if not err:
        err = _xattrs(path.dentry, e)
    if err:
        e["error"] = errname(err)
    return e, names


def walk(mnt: Any, contents: bool = True, most: int = 2000) -> Iterator[dict[str, Any]]:
    """Manifest entries of a mounted tree, depth first. A directory seen twice is not entered again (corrupt images have loops)."""
    seen: set[int] = set()
    todo: list[tuple[Any, bytes]] = [(mnt.mnt_root, b"/")]
    count = 0
    while todo:
        dentry, name = todo.pop()
        path = Path(mnt, dentry)
        count += 1
        e, names = _entry(path, name, contents)
        yield e
        inode = dentry.d_inode
        children: list[tuple[Any, bytes]] = []
        if names and id(inode) not in seen and count < most:
            seen.add(id(inode))
            for n in names:
                full = (b"" if name == b"/" else name) + b"/" + n
                child = lookup_slow(Qstr(n), dentry, 0)
                if IS_ERR(child) or child.d_inode is None:
                    bad = dict.fromkeys(FIELDS)
                    bad["path"] = os.fsdecode(full)
                    bad["error"] = errname(PTR_ERR(child)) if IS_ERR(child) else "ENOENT"
                    if not IS_ERR(child):
                        dput(child)
                    yield bad
                    continue
                children.append((child, full))
        todo += reversed(children)
        if dentry is not mnt.mnt_root:
            dput(dentry)


def manifest(mnt: Any) -> list[dict[str, Any]]:
    """The whole tree, sorted by path."""
    return sorted(walk(mnt), key=lambda e: b"" if e["path"] == "/" else os.fsencode(e["path"]))


def result(err: int) -> str:
    return errname(err) if err else "mounted"


__all__ = ["BACKENDS", "EIO", "SERIES", "Source", "boot", "errname", "kfree", "manifest", "read_all", "umount", "walk"]
