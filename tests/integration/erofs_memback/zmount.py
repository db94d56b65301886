# SPDX-License-Identifier: GPL-2.0-only
"""A mount for tests of compressed files: image in memory, RAM disk, vfs_kern_mount(), files by path."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_LARGEFILE
from kemu.linux.fs import SB_RDONLY, file_open_root, fput, vfs_read
from kemu.linux.fs.namespace import vfs_kern_mount
from kemu.linux.mount import mntput
from kemu.linux.path import Path
from kemu.linux.port import ramdisk as brd
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.machine.machine import Machine

from erofs_memback import super as erofs_super
from erofs_memback import zdata_pcluster
from erofs_memback.internal import erofs_sb_info


class ZMount:
    """One mounted image; ``err`` is the negative errno of a mount that failed."""

    def __init__(self, m: Machine, image: bytes, options: str | None = None, completion: str = "sync") -> None:
        self.m = m
        err = erofs_super.erofs_module_init()
        assert err == 0
        self.pages_before = m.counters.pages_in_use
        self.disk = brd.ramdisk(m.place(image), pad=max(4096, m.mem.page_size), completion=completion)
        mnt = vfs_kern_mount(erofs_super.erofs_fs_type, SB_RDONLY, "/dev/ram0", options)
        self.err = PTR_ERR(mnt) if IS_ERR(mnt) else 0
        self.mnt: Any = None if self.err else mnt

    @property
    def sbi(self) -> erofs_sb_info:
        return self.mnt.mnt_sb.s_fs_info

    def open(self, path: str) -> Any:
        root = Path()
        root.mnt, root.dentry = self.mnt, self.mnt.mnt_root
        return file_open_root(root, path.lstrip("/"), O_LARGEFILE, 0)

    def read(self, path: str, step: int = 131072) -> bytes | int:
        """The whole file, or a negative errno."""
        f = self.open(path)
        if IS_ERR(f):
            return PTR_ERR(f)
        pos, buf, out = Ref(0), bytearray(step), bytearray()
        while True:
            n = vfs_read(f, buf, step, pos)
            if n <= 0:
                break
            out += buf[:n]
        fput(f)
        task_work_run()
        return n or bytes(out)

    def umount(self) -> None:
        mntput(self.mnt)
        task_work_run()
        self.m.idle()

    def live_pclusters(self) -> int:
        return sum(p.slab.live for p in zdata_pcluster.g.pcluster_pool)
