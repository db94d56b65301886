# SPDX-License-Identifier: GPL-2.0-only
"""cramfs as a file system that is mounted in a machine, and its back end: ``with mounted("x.cramfs") as m:``. Not a port."""

from __future__ import annotations

from collections.abc import Sequence

from kemu.rung.py.backend import Backend, Medium, Placed, Source
from kemu.rung.py.disks import Disks
from kemu.rung.py.mount import FileSystem, Mounted, MountError

from cramfs import inode

__role__ = "harness"


class Bdev(Backend):
    name = "bdev"
    help = "a RAM disk, as long as the image's last sector"
    devices = False

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        return Disks.open(images, medium, pad=512)


BDEV = Bdev()
CRAMFS = FileSystem(
    "cramfs",
    lambda: inode.init_cramfs_fs(),
    lambda: inode.exit_cramfs_fs(),
    BDEV,
    config={"CONFIG_CRAMFS": True, "CONFIG_CRAMFS_BLOCKDEV": True},
    statics=lambda: inode.g.read_buffers[0],
)

machine_for = CRAMFS.machine_for
mount_in = CRAMFS.mount_in
mounted = CRAMFS.mounted

__all__ = ["BDEV", "CRAMFS", "MountError", "Mounted", "machine_for", "mount_in", "mounted"]
