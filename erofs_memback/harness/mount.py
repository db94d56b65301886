# SPDX-License-Identifier: GPL-2.0-only
"""Mounting an image in a machine, for commands and tests: place it, put the asked-for backend under it, mount, take it down again.

Not a port. ``with mounted("x.erofs", backend="bdev") as m:`` gives a :class:`Mounted`; its ``path`` is where a walk begins. A mount that the
kernel refuses raises :class:`MountError` with the errno and what the kernel's log said.
"""
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kemu.linux.brd import ramdisk, ramdisk_remove
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL
from kemu.linux.fs import SB_RDONLY, SuperBlock
from kemu.linux.fs_context import (
    FsContext,
    fs_context_for_mount,
    parse_monolithic_mount_data,
    put_fs_context,
    vfs_parse_fs_string,
)
from kemu.linux.mount import VfsMount, mntput
from kemu.linux.path import Path
from kemu.linux.task_work import task_work_run
from kemu.linux.types import NULL
from kemu.linux.vfs.namespace import fc_mount
from kemu.machine.machine import Machine
from kemu.machine.region import KINDS, Region, image_size

from erofs_memback import super as erofs_super
from erofs_memback.harness.backing import backing_files, data_of, drop_backing_files

BACKENDS = ("bdev", "memback", "memback-rfc", "fileio", "dax")
DISK_PAD = 4096
HEADROOM = 512 << 20            # for page cache and buffers; what is not touched costs nothing

Image = str | bytes | memoryview | os.PathLike[str]


class MountError(Exception):
    """The kernel refused: ``errno`` (positive), and ``message``, the last thing that it logged, or ""."""

    def __init__(self, errno: int, message: str, log: list[str]):
        super().__init__(message)
        self.errno = errno
        self.message = message
        self.log = log


class Mounted:
    """One mount: ``machine``, ``path`` (its root), ``region`` (the image in memory), ``backend``."""

    __slots__ = ("backend", "disks", "files", "logged", "machine", "mnt", "owner", "path", "region")

    def __init__(self, machine: Machine, backend: str, region: Region):
        self.machine = machine
        self.backend = backend
        self.region = region
        self.disks: list[Any] = []
        self.files: list[str] = []      # fileio: the backing files
        self.owner: Any = None          # memback: the owner's own reference to the region
        self.mnt: VfsMount = NULL
        self.path = Path()
        self.logged = 0                 # entries of the log when the mount was complete

    @property
    def sb(self) -> SuperBlock:
        return self.mnt.mnt_sb

    def umount(self) -> None:
        """Unmount, and take the disks away. The image stays in memory."""
        if self.mnt is not None:
            mntput(self.mnt)
            self.mnt = NULL
            self.path = Path()
            settle(self.machine)
        self._drop()
        settle(self.machine)

    def _drop(self) -> None:
        for disk in reversed(self.disks):
            ramdisk_remove(disk)
        self.disks.clear()
        if self.files:
            drop_backing_files(self.machine, self.files)
            self.files = []
        if self.owner is not None:
            from erofs_memback import memback

            memback.erofs_memback_region_put(self.owner)
            self.owner = None


def machine_for(image: Image, devices: Sequence[Image] = (), *, backend: str = "bdev", config: dict[str, bool] | None = None,
                series: Sequence[Any] = (), memory: int = 0, **options: Any) -> Machine:
    """A machine with room for the images, built with what ``backend`` needs. ``memory`` 0: as much as seems right."""
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}: one of {', '.join(BACKENDS)}")
    extra = _series_of(backend)
    if backend == "dax":
        config = {"CONFIG_FS_DAX": True, **(config or {})}
    if not memory:
        total = sum(image_size(_plain(i)) for i in (image, *devices))
        copies = 2 if backend == "fileio" else 1        # the backing file's page cache is a second one
        memory = total * copies + HEADROOM
    return Machine(memory=memory, config=config, series=[*extra, *(s for s in series if s not in extra)], **options)


def _series_of(backend: str) -> list[Any]:
    """The series that a backend is; imported when it is asked for, because its hunks are applied then."""
    if backend == "memback":
        from erofs_memback import memback

        return [memback.series]
    if backend == "memback-rfc":
        from erofs_memback import memback_rfc

        return [memback_rfc.series]
    return []


def _plain(image: Image) -> Any:
    return image if isinstance(image, (str, bytes, bytearray, memoryview)) else os.fspath(image)


def settle(machine: Machine) -> None:
    """The task returns to user mode and everything that was put off is done: delayed puts, RCU callbacks, kworkers."""
    task_work_run()
    machine.idle()


def last_message(machine: Machine, since: int = 0) -> str:
    """The last warning or error in the log from entry ``since`` on: what a refused operation is explained by; "" if there is none."""
    return next((text for _, level, text in reversed(machine.log.entries[since:]) if level <= 4), "")


def _place_disks(m: Mounted, devices: Sequence[Image], at: int, kind: str, completion: str, io_opt: int) -> list[str]:
    """A RAM disk for the image and for each extra device, as loop devices over padded files are; their paths."""
    machine = m.machine
    since = len(machine.log.entries)
    psize = machine.mem.page_size
    regions = [m.region, *(machine.place(_plain(dev), at, kind, f"device {i}") for i, dev in enumerate(devices))]
    paths = []
    for region in regions:
        # the file system says itself that it must do without DAX where the memory does not allow it
        dax = m.backend == "dax" and not region.addr % psize and not region.size % psize
        disk = ramdisk(region, pad=max(DISK_PAD, psize), completion=completion, dax=dax, io_opt=io_opt)
        if IS_ERR(disk):
            raise MountError(-PTR_ERR(disk), last_message(machine, since), machine.log.lines())
        m.disks.append(disk)
        paths.append("/dev/" + disk.disk_name)
    return paths


def load_module(machine: Machine) -> int:
    """``modprobe erofs``, once a machine. Return: 0 or a negative errno."""
    if "erofs" in machine.parts:
        return 0
    err = erofs_super.erofs_module_init()
    if not err:
        machine.parts["erofs"] = True
    return err


def unload_module(machine: Machine) -> None:
    """``rmmod erofs``: nothing may be mounted."""
    if machine.parts.pop("erofs", False):
        erofs_super.erofs_module_exit()


def mount_in(machine: Machine, image: Image, *, backend: str = "bdev", at: int = 0, kind: str = "linear", devices: Sequence[Image] = (),
             options: str = "", completion: str = "", io_opt: int = 0) -> Mounted:
    """Mount ``image`` in a running machine (inside its ``with``). ``completion``: where bios end, ``io_opt``: how much is read ahead, see
    ``ramdisk()``. Raises MountError."""
    if kind not in KINDS:
        raise ValueError(f"memory kind {kind!r}: one of {', '.join(KINDS)}")
    since = len(machine.log.entries)
    err = load_module(machine)
    if err:
        raise MountError(-err, last_message(machine, since), machine.log.lines())
    m = Mounted(machine, backend, machine.place(_plain(image), at, kind))
    opts = [o for o in (options,) if o]
    source: str | None = "none"
    if backend in ("bdev", "dax"):
        paths = _place_disks(m, devices, at, kind, completion, io_opt)
        source = paths[0]
        opts += [f"device={p}" for p in paths[1:]]
        if backend == "dax":
            opts.append("dax=always")
    elif backend == "fileio":
        regions = [m.region, *(machine.place(_plain(d), at, kind, f"device {i}") for i, d in enumerate(devices))]
        files = backing_files(machine, regions, [data_of(_plain(x), r.size) for x, r in zip((image, *devices), regions)])
        if isinstance(files, int):
            raise MountError(-files, last_message(machine, since), machine.log.lines())
        m.files = paths = files
        source = paths[0]
        opts += [f"device={p}" for p in paths[1:]]
    since = len(machine.log.entries)            # what comes now is about this mount
    fc = fs_context_for_mount(erofs_super.erofs_fs_type, SB_RDONLY)
    if IS_ERR(fc):
        err = PTR_ERR(fc)
    else:
        err = _configure(m, fc, source, ",".join(opts), devices)
        if not err:
            mnt = fc_mount(fc)
            if IS_ERR(mnt):
                err = PTR_ERR(mnt)
            else:
                m.mnt = mnt
                m.path = Path(mnt, mnt.mnt_root)
                m.logged = len(machine.log.entries)
        put_fs_context(fc)
    if err:
        settle(machine)
        message = last_message(machine, since)
        m._drop()
        settle(machine)
        raise MountError(-err, message, machine.log.lines())
    return m


def _configure(m: Mounted, fc: FsContext, source: str | None, options: str, devices: Sequence[Image]) -> int:
    err = vfs_parse_fs_string(fc, "source", source) or parse_monolithic_mount_data(fc, options or None)
    if err or m.backend not in ("memback", "memback-rfc"):
        return int(err)
    if devices:
        return -EINVAL
    region = m.region
    if m.backend == "memback-rfc":
        from erofs_memback import memback_rfc

        memback_rfc.erofs_memback_set_pending(region.addr, region.size)
        return 0
    region.lend("erofs")
    from erofs_memback import memback

    m.owner = memback.erofs_memback_region_alloc(region.addr, region.size, lambda r: region.give_back("erofs"), region)
    return memback.erofs_fc_set_memback(fc, m.owner)


@contextmanager
def mounted(image: Image, *, backend: str = "bdev", at: int = 0, kind: str = "linear", devices: Sequence[Image] = (), options: str = "",
            completion: str = "", io_opt: int = 0, **machine_options: Any) -> Iterator[Mounted]:
    """A machine of its own with the image mounted; everything is gone afterwards. Raises MountError."""
    with machine_for(image, devices, backend=backend, **machine_options) as machine:
        m = mount_in(machine, image, backend=backend, at=at, kind=kind, devices=devices, options=options, completion=completion,
                     io_opt=io_opt)
        yield m
        m.umount()
