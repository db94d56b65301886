# SPDX-License-Identifier: GPL-2.0-only
"""The back end: an image in memory becomes a disk of the emulated kernel, and cramfs is mounted from it. Not a port.

``with mounted("x.cramfs") as m:`` gives a :class:`Mounted`; its ``path`` is where a walk begins. A mount that the kernel refuses
raises :class:`MountError` with the errno and what the kernel's log said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kemu.linux.brd import ramdisk, ramdisk_remove
from kemu.linux.cred import current_cred
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.file import __fput_sync
from kemu.linux.fs import SB_RDONLY, dentry_open
from kemu.linux.fs_struct import current_fs
from kemu.linux.mount import mnt_init, mntput, vfs_kern_mount
from kemu.linux.path import Path
from kemu.linux.task_work import task_work_run
from kemu.linux.types import this
from kemu.machine.machine import Machine
from kemu.machine.region import Region, image_size

from cramfs import inode

CONFIG = {"CONFIG_CRAMFS": True, "CONFIG_CRAMFS_BLOCKDEV": True}
HEADROOM = 64 << 20  # for page cache and buffers; what is not touched costs nothing


class MountError(Exception):
    """The kernel refused: ``errno`` (positive), and ``message``, the last thing that it logged, or ""."""

    def __init__(self, errno: int, message: str):
        super().__init__(message)
        self.errno = errno
        self.message = message


def settle() -> None:
    """The task returns to user space, and everybody else does what is left to do."""
    task_work_run()
    this.machine.idle()


def last_message(since: int = 0) -> str:
    """The last warning or error in the kernel's log, else its last line."""
    entries = this.machine.log.entries[since:]
    for _, level, text in reversed(entries):
        if level <= 4:
            return text
    return entries[-1][2] if entries else ""


def boot() -> None:
    """The kernel is up: a root file system is mounted, what is made when it is first needed is there, and so are the static
    arrays of inode.c."""
    mnt_init()
    __fput_sync(dentry_open(current_fs().root, O_RDONLY, current_cred()))
    _ = inode.g.read_buffers[0]


class Disk:
    """An image in memory as a disk, as long as its last sector: what cramfs is mounted from. ``completion``: where bios end, see
    ``ramdisk()``."""

    def __init__(self, region: Region, completion: str = ""):
        self.region = region
        self.disk = ramdisk(region, pad=512, completion=completion)
        if IS_ERR(self.disk):
            raise MountError(-PTR_ERR(self.disk), last_message())

    def bad_sectors(self, sectors: Iterable[int]) -> None:
        """These cannot be read from now on."""
        self.disk.private_data.bad_sectors.update(sectors)

    def mount(self) -> Any:
        """The mount, or ERR_PTR; what a refused mount put off is done."""
        mnt = vfs_kern_mount(inode.cramfs_fs_type, SB_RDONLY, "/dev/" + self.disk.disk_name, None)
        if IS_ERR(mnt):
            settle()
        return mnt

    def drop(self) -> None:
        """Nobody uses it any more."""
        ramdisk_remove(self.disk)
        settle()


def umount(mnt: Any) -> None:
    """The last reference of a mount that nobody sees: the superblock goes with it."""
    mntput(mnt)
    settle()


class Mounted:
    """``machine``, ``disk``, ``mnt`` and ``path``, the root of the mount."""

    def __init__(self, machine: Machine, disk: Disk, mnt: Any):
        self.machine = machine
        self.disk = disk
        self.mnt = mnt
        self.path = Path(mnt, mnt.mnt_root)


def machine_for(image: str | bytes | os.PathLike[str], **options: Any) -> Machine:
    """A machine with room for the image and with cramfs in its configuration."""
    size = image_size(image if isinstance(image, bytes) else os.fspath(image))
    return Machine(memory=size + HEADROOM, config={**CONFIG, **options.pop("config", {})}, **options)


def mount_in(machine: Machine, image: str | bytes | os.PathLike[str], at: int = 0, kind: str = "linear") -> Mounted:
    """Mount ``image``, ``at`` bytes behind a page boundary, in a running machine (inside its ``with``). Raises MountError."""
    since = len(machine.log.entries)
    err = inode.init_cramfs_fs()
    if err:
        raise MountError(-err, last_message(since))
    disk = Disk(machine.place(image if isinstance(image, bytes) else os.fspath(image), at, kind))
    mnt = disk.mount()
    if IS_ERR(mnt):
        message = last_message(since)
        disk.drop()
        raise MountError(-PTR_ERR(mnt), message)
    return Mounted(machine, disk, mnt)


@contextmanager
def mounted(
    image: str | bytes | os.PathLike[str], *, at: int = 0, kind: str = "linear", **machine_options: Any
) -> Iterator[Mounted]:
    """A machine of its own with the image mounted; everything is gone afterwards. Raises MountError."""
    with machine_for(image, **machine_options) as machine:
        m = mount_in(machine, image, at, kind)
        yield m
        umount(m.mnt)
        m.disk.drop()
        inode.exit_cramfs_fs()
