# SPDX-License-Identifier: GPL-2.0-only
"""Hooks of security modules (include/linux/security.h): no module is loaded; every call is counted, and a watch or a fault may
see it.
"""
from kemu.linux.security.security import (  # noqa: F401
    lsm_calls,
    security_initramfs_populated,
    security_kernel_module_request,
    security_mmap_backing_file,
    security_path_chroot,
)
