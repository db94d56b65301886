# SPDX-License-Identifier: GPL-2.0-only
"""Extended attributes (include/linux/xattr.h, fs/xattr.c). Names are bytes; values are in kernel memory."""
from kemu.linux.fs.xattr import (  # noqa: F401
    do_getxattr,
    do_setxattr,
    listxattr,
    vfs_getxattr,
    vfs_listxattr,
    xattr_permission,
    xattr_resolve_name,
)
from kemu.linux.include.xattr import (  # noqa: F401
    XATTR_CREATE,
    XATTR_LIST_MAX,
    XATTR_MAC_OSX_PREFIX,
    XATTR_NAME_MAX,
    XATTR_NAME_POSIX_ACL_ACCESS,
    XATTR_NAME_POSIX_ACL_DEFAULT,
    XATTR_OS2_PREFIX,
    XATTR_REPLACE,
    XATTR_SECURITY_PREFIX,
    XATTR_SIZE_MAX,
    XATTR_SYSTEM_PREFIX,
    XATTR_TRUSTED_PREFIX,
    XATTR_USER_PREFIX,
    is_posix_acl_xattr,
    xattr_handler,
    xattr_handler_can_list,
    xattr_prefix,
)
