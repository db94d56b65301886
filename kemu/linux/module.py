# SPDX-License-Identifier: GPL-2.0-only
"""References to modules (include/linux/module.h): nothing is a module here."""
from __future__ import annotations

from kemu.linux.fs.filesystems import g as filesystems_g
from kemu.linux.include.fs.types import FileSystemType
from kemu.linux.port.honesty import custom

P = "include/linux/module.h"


@custom(P, "module_refcount", "of a file system type")
def module_refcount(fs: FileSystemType) -> int:
    """How many contexts, superblocks and lookups pin the type."""
    return int(filesystems_g.module_refs.get(fs, 0))
