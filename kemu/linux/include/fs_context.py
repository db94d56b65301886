# SPDX-License-Identifier: GPL-2.0-only
"""struct fs_context, its operations and its log (include/linux/fs_context.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.errno import EINVAL, ENOMEM
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.types import FileSystemType
from kemu.linux.include.slab import kstrdup
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.super_types import _Ops
from kemu.machine.current import NULL

P = "include/linux/fs_context.h"

FS_CONTEXT_FOR_MOUNT, FS_CONTEXT_FOR_SUBMOUNT, FS_CONTEXT_FOR_RECONFIGURE = range(3)
(FS_CONTEXT_CREATE_PARAMS, FS_CONTEXT_CREATING, FS_CONTEXT_AWAITING_MOUNT, FS_CONTEXT_AWAITING_RECONF, FS_CONTEXT_RECONF_PARAMS,
 FS_CONTEXT_RECONFIGURING, FS_CONTEXT_FAILED) = range(7)
fs_value_is_undefined, fs_value_is_flag, fs_value_is_string, fs_value_is_blob, fs_value_is_filename, fs_value_is_file = range(6)
GET_TREE_BDEV_QUIET_LOOKUP = 0x0001


@custom(P, "struct fs_parameter", "string is a Python str, None where C has NULL")
class FsParameter:
    """``struct fs_parameter``"""

    __slots__ = ("blob", "dirfd", "file", "key", "name", "size", "string", "type")

    def __init__(self, key: str = "", type: int = fs_value_is_flag, string: str = NULL):
        self.key = key
        self.type = type
        self.string = string
        self.size = len(string) if string else 0
        self.dirfd = 0
        self.name: Any = None
        self.file: Any = None
        self.blob: Any = None


@dup(P)
class fs_context_operations(_Ops):
    """``struct fs_context_operations``"""

    free: Any
    dup: Any
    parse_param: Any
    parse_monolithic: Any
    get_tree: Any
    reconfigure: Any
    __slots__ = tuple(__annotations__)


@custom(P, "struct fc_log", "buffer is a Python list")
class fc_log:
    """``struct fc_log``: the last eight messages, for who configures the mount by file descriptor."""

    __slots__ = ("buffer", "usage")

    def __init__(self) -> None:
        self.usage = 1
        self.buffer: list[str] = []


@dup(P)
class p_log:
    """``struct p_log``"""

    __slots__ = ("log", "prefix")

    def __init__(self, prefix: str | None = None, log: fc_log | None = None):
        self.prefix = prefix
        self.log = log


@dup(P)
class FsContext:
    """``struct fs_context``"""

    __slots__ = ("cred", "exclusive", "fs_private", "fs_type", "global_", "log", "need_free", "net_ns", "oldapi", "ops", "phase",
                 "purpose", "root", "s_fs_info", "s_iflags", "sb_flags", "sb_flags_mask", "security", "sget_key", "source",
                 "uapi_mutex", "user_ns")

    def __init__(self) -> None:
        self.ops: Any = None
        self.uapi_mutex: Any = None
        self.fs_type: FileSystemType = None             # type: ignore[assignment]
        self.fs_private: Any = None
        self.sget_key: Any = None
        self.root: Dentry = NULL
        self.user_ns: Any = None
        self.net_ns: Any = None
        self.cred: Any = None
        self.log = p_log()
        self.source: str = NULL
        self.security: Any = None
        self.s_fs_info: Any = None
        self.sb_flags = 0
        self.sb_flags_mask = 0
        self.s_iflags = 0
        self.purpose = FS_CONTEXT_FOR_MOUNT
        self.phase = FS_CONTEXT_CREATE_PARAMS
        self.need_free = False
        self.global_ = False                            # ``global`` in C
        self.oldapi = False
        self.exclusive = False


def _plog(name: str, prefix: bool) -> Callable[..., None]:
    level = name[0]

    def log(fc: FsContext, fmt: str, *args: Any) -> None:
        from kemu.linux.fs.fs_context import logfc  # noqa: PLC0415  (up into fs/fs_context.c)

        logfc(fc.log.log, fc.log.prefix if prefix else None, level, fmt, *args)

    log.__name__ = log.__qualname__ = name
    log.__doc__ = (f"``{name}(fc, fmt, ...)``: {'with the name of the file system before it' if prefix else 'as it is'}, to the "
                   f"context's log or the kernel's.")
    return log


infof, warnf, errorf = _plog("infof", False), _plog("warnf", False), _plog("errorf", False)
infofc, warnfc, errorfc = _plog("infofc", True), _plog("warnfc", True), _plog("errorfc", True)


def invalf(fc: FsContext, fmt: str, *args: Any) -> int:
    """``invalf(fc, fmt, ...)``: errorf(), and -EINVAL."""
    errorf(fc, fmt, *args)
    return -EINVAL


def invalfc(fc: FsContext, fmt: str, *args: Any) -> int:
    """``invalfc(fc, fmt, ...)``: errorfc(), and -EINVAL."""
    errorfc(fc, fmt, *args)
    return -EINVAL


def warn_plog(log: p_log, fmt: str, *args: Any) -> None:
    """``warn_plog(log, fmt, ...)``"""
    from kemu.linux.fs.fs_context import logfc  # noqa: PLC0415  (up into fs/fs_context.c)

    logfc(log.log, log.prefix, "w", fmt, *args)


def inval_plog(log: p_log, fmt: str, *args: Any) -> int:
    """``inval_plog(log, fmt, ...)``: an error, and -EINVAL."""
    from kemu.linux.fs.fs_context import logfc  # noqa: PLC0415  (up into fs/fs_context.c)

    logfc(log.log, log.prefix, "e", fmt, *args)
    return -EINVAL


@dup(P)
def vfs_parse_fs_string(fc: FsContext, key: str, value: str | None) -> int:
    """``int vfs_parse_fs_string(struct fs_context *fc, const char *key, const char *value)``.

    Return: as vfs_parse_fs_param(), or -ENOMEM.
    """
    from kemu.linux.fs.fs_context import vfs_parse_fs_param  # noqa: PLC0415  (up into fs/fs_context.c)

    param = FsParameter(key)
    if value is not None:
        param.string = kstrdup(value)
        param.size = len(value)
        if param.string is None:
            return -ENOMEM
        param.type = fs_value_is_string
    return vfs_parse_fs_param(fc, param)


names("dup", P, "infof", "warnf", "errorf", "infofc", "warnfc", "errorfc", "invalf", "invalfc", "warn_plog", "inval_plog")
