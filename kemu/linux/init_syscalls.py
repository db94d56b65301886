# SPDX-License-Identifier: GPL-2.0-only
"""Path calls of early boot (include/linux/init_syscalls.h): a port of fs/init.c."""
from kemu.linux.fs.init import (  # noqa: F401
    init_chdir,
    init_chmod,
    init_chown,
    init_chroot,
    init_dup,
    init_eaccess,
    init_link,
    init_mkdir,
    init_mknod,
    init_mount,
    init_pivot_root,
    init_rmdir,
    init_stat,
    init_symlink,
    init_umount,
    init_unlink,
    init_utimes,
)
from kemu.linux.fs.namei import kern_path  # noqa: F401
from kemu.linux.include.fs.constants import UMOUNT_NOFOLLOW  # noqa: F401
from kemu.linux.include.init_syscalls import Descriptors, LooksForInit, path_permission  # noqa: F401
