# SPDX-License-Identifier: GPL-2.0-only
"""The back ends of EROFS (entry points ``kemu.backends``, ``erofs.NAME``). Not a port.

The modules of the two memback series are imported when they are asked for, because their hunks are applied then.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR
from kemu.linux.errno import EINVAL, ENOMEM
from kemu.linux.fs import SB_RDONLY, FileSystemType
from kemu.linux.fs.namespace import fc_mount
from kemu.linux.fs_context import fs_context_for_mount, parse_monolithic_mount_data, put_fs_context, vfs_parse_fs_string
from kemu.linux.mount import VfsMount
from kemu.linux.port.series import Series
from kemu.linux.types import this
from kemu.machine.region import Region
from kemu.machine.series import ShortForms
from kemu.rung.py.backend import Backend, Medium, Placed, Source
from kemu.rung.py.disks import Disks

from erofs_memback.harness.backing import backing_files, data_of, drop_backing_files

__role__ = "harness"
DISK_PAD = 4096         # as loop devices over padded files are


class Bdev(Backend):
    """The image on a RAM disk."""

    name = "bdev"
    help = "a RAM disk"

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        """The images as a source to mount from, or -errno."""
        return Disks.open(images, medium, pad=DISK_PAD)


class Dax(Backend):
    """The image on a RAM disk whose memory is mapped instead of copied."""

    name = "dax"
    help = "a RAM disk with DAX"
    config = {"CONFIG_FS_DAX": True}

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        """The images as a source to mount from, or -errno."""
        # the file system says itself that it must do without DAX where the memory does not allow it
        disks = Disks.open(images, medium, pad=DISK_PAD, dax=True)
        if isinstance(disks, Disks):
            disks.options = [*disks.options, "dax=always"]
        return disks


class Files(Source):
    """A file of the emulated kernel for each image. ``paths``: their names."""

    def __init__(self, paths: list[str]):
        self.paths = paths
        self.name = paths[0]
        self.options = [f"device={p}" for p in paths[1:]]

    def drop(self) -> None:
        """Take away what open() has made."""
        drop_backing_files(this.machine, self.paths)


class FileIo(Backend):
    """The image as a file of the emulated kernel."""

    name = "fileio"
    help = "a file of the emulated kernel"
    copies = 2              # the page cache of the file is the second one

    def short(self) -> list[ShortForms]:
        """Short forms for what open() does."""
        from kemu.linux.short.ram_runs import short  # noqa: PLC0415  (only this back end needs it)

        return [short]              # the files are written

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        """The images as a source to mount from, or -errno."""
        paths = backing_files(this.machine, [i.region for i in images], [data_of(i.file, i.region.size) for i in images])
        return paths if isinstance(paths, int) else Files(paths)


class Memory(Source):
    """A region object with the owner's reference. ``released``: called when the last user is gone."""

    def __init__(self, region: Region):
        self.region = region
        self.released: Callable[[], None] | None = None
        self.object: Any = None

    def mount_type(self, fstype: FileSystemType, options: str | None) -> VfsMount:
        """Mount with the region handed over in the context, or ERR_PTR."""
        from erofs_memback.memback import erofs_fc_set_memback  # noqa: PLC0415  (only this back end needs it)

        fc = fs_context_for_mount(fstype, SB_RDONLY)
        if IS_ERR(fc):
            return ERR_CAST(fc)
        err = (vfs_parse_fs_string(fc, "source", self.name) or parse_monolithic_mount_data(fc, options)
               or erofs_fc_set_memback(fc, self.object))
        mnt = fc_mount(fc) if not err else ERR_PTR(err)
        put_fs_context(fc)
        return mnt

    def drop(self) -> None:
        """Take away what open() has made."""
        from erofs_memback.memback import erofs_memback_region_put  # noqa: PLC0415  (only this back end needs it)

        region, self.object = self.object, None
        erofs_memback_region_put(region)

    def release(self, region: Any) -> None:
        """The region object's own release()."""
        self.region.give_back("erofs")
        if self.released is not None:
            self.released()


class Memback(Backend):
    """The image's own memory, by our memback."""

    name = "memback"
    help = "the memory itself"
    devices = False

    def series(self) -> list[Series]:
        """The patches that make it possible."""
        from erofs_memback import memback  # noqa: PLC0415  (only this back end needs it)

        return [memback.series]

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        """The images as a source to mount from, or -errno."""
        from erofs_memback.memback import erofs_memback_region_alloc  # noqa: PLC0415  (only this back end needs it)

        if len(images) > 1:
            return -EINVAL
        region = images[0].region
        source = Memory(region)
        region.lend("erofs")
        source.object = erofs_memback_region_alloc(region.addr, region.size, source.release, region)
        if not source.object:
            region.give_back("erofs")
            return -ENOMEM
        return source


class Pending(Source):
    """An address that waits for the next mount, as the posted series passes it."""

    def __init__(self, region: Region):
        self.region = region

    def mount(self, options: str = "") -> VfsMount:
        """Mount with the region that is left pending for the next mount."""
        from erofs_memback.memback_rfc import erofs_memback_set_pending  # noqa: PLC0415  (only this back end needs it)

        erofs_memback_set_pending(self.region.addr, self.region.size)
        return super().mount(options)


class MembackRfc(Backend):
    """The image's own memory, by memback as it was posted."""

    name = "memback-rfc"
    help = "the memory itself, as posted"
    devices = False
    in_c = "region/memback_rfc.py"

    def series(self) -> list[Series]:
        """The patches that make it possible."""
        from erofs_memback import memback_rfc  # noqa: PLC0415  (only this back end needs it)

        return [memback_rfc.series]

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        """The images as a source to mount from, or -errno."""
        return -EINVAL if len(images) > 1 else Pending(images[0].region)


BDEV = Bdev()
DAX = Dax()
FILEIO = FileIo()
MEMBACK = Memback()
MEMBACK_RFC = MembackRfc()
