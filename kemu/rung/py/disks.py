# SPDX-License-Identifier: GPL-2.0-only
"""Images as RAM disks: what a file system that needs a block device is mounted from."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.port.ramdisk import ramdisk, ramdisk_remove
from kemu.linux.types import this
from kemu.rung.py.backend import Medium, Placed, Source


class Disks(Source):
    """A disk for each image. ``paths``: of their device nodes. The extra ones are told by ``device=``."""

    def __init__(self) -> None:
        self.disks: list[Any] = []
        self.paths: list[str] = []
        self.name = ""
        self.options: list[str] = []

    @classmethod
    def open(cls, images: Sequence[Placed], medium: Medium, *, pad: int = 512, dax: bool = False) -> Disks | int:
        """Make the disks, each rounded up to ``pad`` bytes (and, if ``pad`` is 4096 or more, to a page at least). ``dax``: where
        an image has whole pages, its
        memory can be read itself. Return: the Disks, or a negative errno."""
        self = cls()
        psize = this.mem.page_size
        for image in images:
            region = image.region
            whole = not region.addr % psize and not region.size % psize
            disk = ramdisk(region, pad=pad if pad < 4096 else max(pad, psize), completion=medium.completion, dax=dax and whole,
                           io_opt=medium.io_opt)
            if IS_ERR(disk):
                self.drop()
                return PTR_ERR(disk)
            self.disks.append(disk)
            self.paths.append("/dev/" + disk.disk_name)
        self.name = self.paths[0]
        self.options = [f"device={p}" for p in self.paths[1:]]
        return self

    def bad_sectors(self, sectors: Iterable[int]) -> None:
        """These of the first disk cannot be read from now on."""
        self.disks[0].private_data.bad_sectors.update(sectors)

    def drop(self) -> None:
        """Remove the disks."""
        for disk in reversed(self.disks):
            ramdisk_remove(disk)
        self.disks.clear()
