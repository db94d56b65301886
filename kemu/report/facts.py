# SPDX-License-Identifier: GPL-2.0-only
"""What else user space can see of an inode, beyond a manifest: one line of text, the same as the agent of the Linux rung writes
(``kemu/rung/uml/agent/facts.c``). For comparing two kernels.
"""
from __future__ import annotations

import hashlib
import struct
from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_DIRECT, O_LARGEFILE, O_NOFOLLOW, O_RDONLY
from kemu.linux.fiemap import FIEMAP_MAX_OFFSET, FiemapExtentInfo
from kemu.linux.fs import File, Kstat, vfs_llseek, vfs_read
from kemu.linux.fs.ioctl import ioctl_fiemap
from kemu.linux.fs.open import file_open_root, filp_close
from kemu.linux.fs.readdir import getdents64
from kemu.linux.fs.stat import cp_new_stat, vfs_statx_path
from kemu.linux.fs.statfs import vfs_statfs
from kemu.linux.mm.memory import do_fault
from kemu.linux.mm.vma import mmap_region, remove_vma
from kemu.linux.path import Path
from kemu.linux.stat import S_ISDIR, S_ISREG, STATX_BASIC_STATS, STATX_BTIME
from kemu.linux.statfs import kstatfs
from kemu.linux.types import Ref

EXTENTS = 64
MOST = 1 << 20                  # bytes of a file that are read another time
ROOM = 1 << 16
PAGE = 4096
DENTS = 32768
SEEK_DATA, SEEK_HOLE = 3, 4


def _shown(path: bytes) -> str:
    return "".join(chr(c) if 0x20 < c < 0x7f and c != 0x5c else f"\\x{c:02x}" for c in path) or "/"


def _sum(digest: Any) -> str:
    return str(digest.hexdigest()[:16])


def _extents(file: File) -> str:
    info = FiemapExtentInfo(EXTENTS)
    error = ioctl_fiemap(file, info, 0, FIEMAP_MAX_OFFSET)
    if error:
        return str(-error)
    return ",".join(f"{e.fe_logical}:{e.fe_physical}:{e.fe_length}:{e.fe_flags:x}" for e in info.fi_extents)


def _holes(file: File) -> str:
    out: list[int] = []
    at = 0
    while len(out) < EXTENTS and at >= 0:
        at = vfs_llseek(file, at, SEEK_DATA if len(out) % 2 else SEEK_HOLE)
        out.append(at)
    return ",".join(map(str, out))


def _names(file: File) -> str:
    """The records as they are in user memory: each begins at a multiple of 8, and what is between them is zero."""
    digest = hashlib.sha256()
    while True:
        n, entries = getdents64(file, DENTS)
        if n <= 0:
            break
        for name, ino, offset, d_type in entries:
            size = (19 + len(name) + 1 + 7) & ~7
            head = struct.pack("<QQHB", ino & 0xFFFF_FFFF_FFFF_FFFF, offset & 0xFFFF_FFFF_FFFF_FFFF, size, d_type)
            digest.update((head + name).ljust(size, b"\0"))
    return f"{min(n, 0)},{_sum(digest)}"


def _direct(path: Path) -> str:
    """O_DIRECT: how reading ends, the bytes that were read, their hash."""
    file = file_open_root(path, "", O_RDONLY | O_NOFOLLOW | O_LARGEFILE | O_DIRECT, 0)
    if IS_ERR(file):
        return str(PTR_ERR(file))
    digest = hashlib.sha256()
    room = bytearray(ROOM)
    pos = Ref(0)
    n = total = 0
    while total < MOST:
        n = vfs_read(file, room, ROOM, pos)
        if n <= 0:
            break
        digest.update(memoryview(room)[:n])
        total += n
    filp_close(file, None)
    return f"{min(n, 0)},{total},{_sum(digest)}"


def _mapped(file: File, size: int) -> str:
    """A mapping: the pages that could not be had, the hash of the others."""
    size = min(size, MOST)
    vma = mmap_region(file, size)
    if IS_ERR(vma):
        return str(PTR_ERR(vma))
    digest = hashlib.sha256()
    bad = 0
    for at in range(0, size, PAGE):
        data = do_fault(vma, at, min(PAGE, size - at))
        if isinstance(data, int):
            bad += 1
        else:
            digest.update(data)
    remove_vma(vma)
    return f"{bad},{_sum(digest)}"


def _of_open(path: Path, mode: int, size: int) -> list[str]:
    file = file_open_root(path, "", O_RDONLY | O_NOFOLLOW | O_LARGEFILE, 0)
    if IS_ERR(file):
        return [f"open={-PTR_ERR(file)}"]
    if S_ISREG(mode):
        out = [f"fiemap={_extents(file)}", f"holes={_holes(file)}",
               f"mapped={_mapped(file, size)}", f"direct={_direct(path)}"]
    else:
        out = [f"dirents={_names(file)}"]
    filp_close(file, None)
    return out


def unseen(name: bytes, error: int) -> str:
    """The line of a place that cannot be looked up: ``error`` is negative."""
    return f"{_shown(name)}\tstatx={-error}"


def of_inode(path: Path, name: bytes) -> str:
    """The line of one place: its name in the tree, then "NAME=VALUE", with tabs between them."""
    st = Kstat()
    error = vfs_statx_path(path, 0, st, STATX_BASIC_STATS | STATX_BTIME)
    if error:
        return unseen(name, error)
    st = cp_new_stat(st)
    out = [_shown(name), f"blocks={st.blocks}", f"blksize={st.blksize}", f"ino={st.ino}",
           f"attributes={st.attributes:x}/{st.attributes_mask:x}",
           *(f"{n}={t.tv_sec}.{t.tv_nsec:09d}" for n, t in (("atime", st.atime), ("ctime", st.ctime))),
           f"btime={int(bool(st.result_mask & STATX_BTIME))}"]
    if not name:
        fs = kstatfs()
        error = vfs_statfs(path, fs)
        out.append(f"statfs={-error}" if error else
                   f"statfs={fs.f_type:x}:{fs.f_bsize}:{fs.f_blocks}:{fs.f_files & (1 << 64) - 1}:{fs.f_ffree & (1 << 64) - 1}:"
                   f"{fs.f_namelen}:{fs.f_fsid[0]:x}:{fs.f_fsid[1]:x}")
    if S_ISREG(st.mode) or S_ISDIR(st.mode):
        out += _of_open(path, st.mode, st.size)
    return "\t".join(out)
