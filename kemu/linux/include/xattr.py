# SPDX-License-Identifier: GPL-2.0-only
"""struct xattr_handler, and names of attributes (include/linux/xattr.h, include/uapi/linux/xattr.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.dcache import Dentry
from kemu.linux.port.honesty import dup
from kemu.linux.super_types import _Ops

P = "include/linux/xattr.h"

XATTR_NAME_CAPS = b"security.capability"

XATTR_OS2_PREFIX, XATTR_MAC_OSX_PREFIX, XATTR_SECURITY_PREFIX = b"os2.", b"osx.", b"security."
XATTR_SYSTEM_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_USER_PREFIX = b"system.", b"trusted.", b"user."
XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT = b"system.posix_acl_access", b"system.posix_acl_default"
XATTR_SIZE_MAX = XATTR_LIST_MAX = 65536
XATTR_NAME_MAX = 255
XATTR_CREATE, XATTR_REPLACE = 1, 2


@dup(P)
class xattr_handler(_Ops):
    """``struct xattr_handler``: of a ``prefix``, or of one ``name``."""

    name: Any
    prefix: Any
    flags: Any
    list: Any
    get: Any
    set: Any
    __slots__ = tuple(__annotations__)


@dup(P)
def xattr_prefix(handler: xattr_handler) -> bytes:
    """``const char *xattr_prefix(const struct xattr_handler *handler)``"""
    return handler.name if handler.prefix is None else handler.prefix           # type: ignore[no-any-return]


@dup(P)
def xattr_handler_can_list(handler: xattr_handler | None, dentry: Dentry) -> bool:
    """``bool xattr_handler_can_list(const struct xattr_handler *handler, struct dentry *dentry)``"""
    return handler is not None and (handler.list is None or bool(handler.list(dentry)))


@dup(P)
@dup("include/linux/posix_acl_xattr.h")
def is_posix_acl_xattr(name: bytes) -> bool:
    """``bool is_posix_acl_xattr(const char *name)``"""
    """``bool is_posix_acl_xattr(const char *name)``"""
    return name in (XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT)


@dup(P)
class simple_xattr:
    """``struct simple_xattr``"""

    __slots__ = ("name", "value")

    def __init__(self) -> None:
        self.name = b""
        self.value = b""
