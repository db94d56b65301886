# SPDX-License-Identifier: GPL-2.0-only
"""A task's root and working directory (include/linux/fs_struct.h)."""
from kemu.linux.fs.fs_struct import chroot_fs_refs, copy_fs_struct, free_fs_struct, set_fs_pwd, set_fs_root  # noqa: F401
from kemu.linux.include.fs_struct import FsStruct, get_fs_pwd, get_fs_root  # noqa: F401
from kemu.linux.include.sched import current_fs  # noqa: F401
