# SPDX-License-Identifier: GPL-2.0-only
"""The ledger of what outlives a call: what is made is in it, what is undone is not, and what is undone later is still there."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemu.check import ledger
from kemu.linux.bio import bio_endio
from kemu.linux.blkdev import (
    add_disk,
    blk_alloc_disk,
    block_device_operations,
    del_gendisk,
    put_disk,
    register_blkdev,
    set_capacity,
    unregister_blkdev,
)
from kemu.linux.fs import MNT_DETACH, register_filesystem
from kemu.linux.fs_struct import current_fs
from kemu.linux.include.blkdev import QueueLimits
from kemu.linux.init_syscalls import init_chdir, init_mkdir, init_mknod, init_rmdir, init_unlink
from kemu.linux.mount import mnt_init
from kemu.linux.port import user as sys
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.task_work import task_work_run
from kemu.machine.machine import Machine


@pytest.fixture
def kernel() -> Iterator[Machine]:
    """A machine with its first root."""
    with Machine() as m:
        mnt_init()
        current_fs()
        register_filesystem(ramfs_fs_type)
        yield m


def since(before: ledger.Ledger) -> list[str]:
    return [str(e) for e in ledger.compare(before, ledger.take())]


def test_names_and_directories(kernel: Machine) -> None:
    before = ledger.take()
    init_mkdir("/a", 0o755)
    init_mkdir("/a/b", 0o755)
    init_mknod("/a/n", 0o020600, 0x501)
    init_chdir("/a")
    assert since(before) == ["+ working directory: /a", "+ nodes: /a (directory)", "+ nodes: /a/b (directory)", "+ nodes: /a/n"]
    init_chdir("/")
    for undo in (init_unlink("/a/n"), init_rmdir("/a/b"), init_rmdir("/a")):
        assert undo == 0
    assert since(before) == []
    init_mkdir("/x", 0o755)
    with_x = ledger.take()
    init_rmdir("/x")
    assert since(with_x) == ["- nodes: /x (directory)"]


def test_mounts_go_later_than_their_place(kernel: Machine) -> None:
    init_mkdir("/m", 0o755)
    before = ledger.take()
    assert sys.sys_mount("x", "/m", "ramfs", 0, None) == 0
    assert sys.sys_mount("x", "/m", "ramfs", 1, None) == 0
    assert (since(before) == ["+ mounts: /m (ramfs)", "+ mounts: /m [2] (ramfs ro)", "+ superblocks: ramfs ramfs",
                              "+ superblocks: ramfs ramfs [2]"])
    held = sys.sys_open("/m", 0)
    assert not isinstance(held, int)
    assert sys.sys_umount("/m", MNT_DETACH) == 0 and sys.sys_umount("/m", MNT_DETACH) == 0
    task_work_run()
    assert since(before) == ["+ superblocks: ramfs ramfs"], "a lazy unmount leaves what is held"
    assert sys.sys_close(held) == 0
    sys.exit_to_user_mode()
    kernel.idle()
    assert since(before) == []


def test_disks(kernel: Machine) -> None:
    before = ledger.take()
    majors = [register_blkdev(0, "d"), register_blkdev(0, "d")]
    disk = blk_alloc_disk(QueueLimits(logical_block_size=512), -1)
    disk.major, disk.first_minor, disk.minors, disk.disk_name, disk.fops = (majors[0], 0, 1, "d0",
                                                                            block_device_operations(submit_bio=bio_endio))
    set_capacity(disk, 8)
    assert add_disk(disk) == 0
    assert since(before) == ["+ disks: d0", "+ block majors: d", "+ block majors: d [2]"]
    del_gendisk(disk)
    put_disk(disk)
    assert since(before) == ["+ block majors: d", "+ block majors: d [2]"]
    for major in majors:
        unregister_blkdev(major, "d")
    assert since(before) == []
