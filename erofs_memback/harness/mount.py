# SPDX-License-Identifier: GPL-2.0-only
"""EROFS as a file system that is mounted in a machine: ``with mounted("x.erofs", backend="memback") as m:``. See
:mod:`kemu.rung.py.mount`. Not a port.
"""
from __future__ import annotations

from kemu.rung.py.backend import settle
from kemu.rung.py.mount import FileSystem, Mounted, MountError, last_message, start, umount

from erofs_memback import super as erofs_super
from erofs_memback.harness.backends import BDEV

__role__ = "harness"
# looked up when it is called: a series may replace it
EROFS = FileSystem("erofs", lambda: erofs_super.erofs_module_init(), lambda: erofs_super.erofs_module_exit(), BDEV)

machine_for = EROFS.machine_for
mount_in = EROFS.mount_in
mounted = EROFS.mounted
load_module = EROFS.load
unload_module = EROFS.unload

__all__ = ["EROFS", "MountError", "Mounted", "last_message", "load_module", "machine_for", "mount_in", "mounted", "settle",
           "start", "umount", "unload_module"]
