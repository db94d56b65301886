# SPDX-License-Identifier: GPL-2.0-only
"""Capabilities (include/linux/capability.h)."""
from kemu.linux.include.cred import (  # noqa: F401
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    CAP_MKNOD,
    CAP_SYS_ADMIN,
    CAP_SYS_CHROOT,
    CAP_SYS_RESOURCE,
    capable,
    ns_capable,
)
from kemu.linux.kernel.capability import capable_wrt_inode_uidgid  # noqa: F401
