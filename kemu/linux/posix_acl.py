# SPDX-License-Identifier: GPL-2.0-only
"""POSIX access control lists (include/linux/posix_acl.h, fs/posix_acl.c)."""
from kemu.linux.fs.posix_acl import (  # noqa: F401
    do_get_acl,
    forget_all_cached_acls,
    forget_cached_acl,
    get_cached_acl,
    get_inode_acl,
    posix_acl_from_xattr,
    posix_acl_permission,
    posix_acl_to_bytes,
    posix_acl_type,
    set_cached_acl,
    vfs_get_acl,
)
from kemu.linux.include.cred import init_user_ns  # noqa: F401
from kemu.linux.include.fs.calls import is_uncached_acl  # noqa: F401
from kemu.linux.include.posix_acl import (  # noqa: F401
    ACL_GROUP,
    ACL_GROUP_OBJ,
    ACL_MASK,
    ACL_OTHER,
    ACL_TYPE_ACCESS,
    ACL_TYPE_DEFAULT,
    ACL_UNDEFINED_ID,
    ACL_USER,
    ACL_USER_OBJ,
    POSIX_ACL_XATTR_VERSION,
    PosixAcl,
    cache_no_acl,
    nop_posix_acl_access,
    nop_posix_acl_default,
    posix_acl_dup,
    posix_acl_release,
    posix_acl_xattr_list,
)
