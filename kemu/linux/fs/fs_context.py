# SPDX-License-Identifier: GPL-2.0-only
"""The context in which a mount is configured (fs/fs_context.c)."""
from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOMEM, ENOPARAM, EOPNOTSUPP
from kemu.linux.fs.dcache import dput
from kemu.linux.fs.filesystems import get_filesystem, put_filesystem
from kemu.linux.fs.super import deactivate_locked_super, deactivate_super
from kemu.linux.include.cred import get_cred, get_current_cred, put_cred
from kemu.linux.include.dcache import Dentry, dget
from kemu.linux.include.fs.types import FileSystemType
from kemu.linux.include.fs_context import (
    FS_CONTEXT_AWAITING_RECONF,
    FS_CONTEXT_FAILED,
    FS_CONTEXT_FOR_MOUNT,
    FS_CONTEXT_FOR_RECONFIGURE,
    FS_CONTEXT_FOR_SUBMOUNT,
    FS_CONTEXT_RECONF_PARAMS,
    FsContext,
    FsParameter,
    fc_log,
    fs_value_is_string,
    invalf,
    vfs_parse_fs_string,
)
from kemu.linux.include.mutex import mutex
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.include.string import c_string
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import KERN_ERR, KERN_INFO, KERN_NOTICE, KERN_WARNING, printk
from kemu.linux.super_types import SB_DIRSYNC, SB_LAZYTIME, SB_MANDLOCK, SB_NOUSER, SB_RDONLY, SB_SYNCHRONOUS
from kemu.machine.current import NULL, this
from kemu.machine.printk import VaFormat, vsprintf

C = "fs/fs_context.c"


@custom(C, "logfc", "the log is a list of texts")
def logfc(log: fc_log | None, prefix: str | None, level: str, fmt: str, *args: Any) -> None:
    """``void logfc(struct fc_log *log, const char *prefix, char level, const char *fmt, ...)``: to the context's log, or to the
    kernel's.
    """
    if log is None:
        kern = {"w": KERN_WARNING, "e": KERN_ERR, "i": KERN_INFO}.get(level, KERN_NOTICE)
        printk(kern + "%s%s%pV\n", prefix or "", ": " if prefix else "", VaFormat(fmt, args))
        return
    if len(log.buffer) == 8:
        del log.buffer[0]
    log.buffer.append(f"{level} {prefix + ': ' if prefix else ''}{vsprintf(fmt, args)}\n")


common_set_sb_flag = {"dirsync": SB_DIRSYNC, "lazytime": SB_LAZYTIME, "mand": SB_MANDLOCK, "ro": SB_RDONLY,
                      "sync": SB_SYNCHRONOUS}
common_clear_sb_flag = {"async": SB_SYNCHRONOUS, "nolazytime": SB_LAZYTIME, "nomand": SB_MANDLOCK, "rw": SB_RDONLY}


def vfs_parse_sb_flag(fc: FsContext, key: str) -> int:
    token = common_set_sb_flag.get(key, 0)
    if token:
        fc.sb_flags |= token
        fc.sb_flags_mask |= token
        return 0
    token = common_clear_sb_flag.get(key, 0)
    if token:
        fc.sb_flags &= ~token
        fc.sb_flags_mask |= token
        return 0
    return -ENOPARAM


@dup(C)
def vfs_parse_fs_param_source(fc: FsContext, param: FsParameter) -> int:
    """``int vfs_parse_fs_param_source(struct fs_context *fc, struct fs_parameter *param)``: takes param->string.

    Return: 0; -ENOPARAM if it is another parameter; -EINVAL for no string or a second source.
    """
    if param.key != "source":
        return -ENOPARAM
    if param.type != fs_value_is_string:
        return invalf(fc, "Non-string source")
    if fc.source is not None:
        return invalf(fc, "Multiple sources")
    fc.source = param.string
    param.string = None
    return 0


@dup(C)
def vfs_parse_fs_param(fc: FsContext, param: FsParameter) -> int:
    """``int vfs_parse_fs_param(struct fs_context *fc, struct fs_parameter *param)``

    Flags of the superblock first, then the file system, then "source". Return: 0; -EINVAL for an unknown parameter, or what the
    file system says.
    """
    if not param.key:
        return invalf(fc, "Unnamed parameter\n")
    ret: int = vfs_parse_sb_flag(fc, param.key)
    if ret != -ENOPARAM:
        return ret
    if fc.ops.parse_param is not None:
        ret = fc.ops.parse_param(fc, param)
        if ret != -ENOPARAM:
            return ret
    ret = vfs_parse_fs_param_source(fc, param)
    if ret != -ENOPARAM:
        return ret
    return invalf(fc, "%s: Unknown parameter '%s'", fc.fs_type.name, param.key)


def vfs_parse_comma_sep(s: str) -> int:
    """Where the first option ends; -1: nowhere."""
    return s.find(",")


@custom(C, "vfs_parse_monolithic_sep", "data is a str, or an address whose bytes are edited as in C; sep finds the separator")
def vfs_parse_monolithic_sep(fc: FsContext, data: str | int | None, sep: Callable[[str], int]) -> int:
    """``int vfs_parse_monolithic_sep(struct fs_context *fc, void *data, char *(*sep)(char **))``: ``key[=val][,key[=val]]*``.

    Return: 0, or the first error of a parameter.
    """
    if not data:
        return 0
    at = data if isinstance(data, int) else 0
    rest = c_string(at).decode("utf-8", "surrogateescape") if isinstance(data, int) else data
    while True:
        end = sep(rest)
        key = rest if end < 0 else rest[:end]
        if end >= 0 and at:
            this.mem.st8(at + len(os.fsencode(key)), 0)
        if key:
            name, eq, value = key.partition("=")
            if not eq or name:
                if eq and at:
                    this.mem.st8(at + len(os.fsencode(name)), 0)
                ret = vfs_parse_fs_string(fc, name, value if eq else None)
                if ret < 0:
                    return ret
        if end < 0:
            return 0
        at = at and at + len(os.fsencode(key)) + 1
        rest = rest[end + 1:]


@dup(C)
def generic_parse_monolithic(fc: FsContext, data: str | int | None) -> int:
    """``int generic_parse_monolithic(struct fs_context *fc, void *data)``"""
    return vfs_parse_monolithic_sep(fc, data, vfs_parse_comma_sep)


@dup(C)
def parse_monolithic_mount_data(fc: FsContext, data: str | int | None) -> int:
    """``int parse_monolithic_mount_data(struct fs_context *fc, void *data)``: by the file system's own parser if it has one."""
    if fc.ops.parse_monolithic is not None:
        return int(fc.ops.parse_monolithic(fc, data))
    return generic_parse_monolithic(fc, data)


def alloc_fs_context(fs_type: FileSystemType, reference: Dentry | None, sb_flags: int, sb_flags_mask: int,
                     purpose: int) -> FsContext:
    fc = kzalloc_obj(FsContext)
    if fc is None:
        return ERR_PTR(-ENOMEM)
    fc.purpose = purpose
    fc.sb_flags = sb_flags
    fc.sb_flags_mask = sb_flags_mask
    fc.fs_type = get_filesystem(fs_type)
    fc.cred = get_current_cred()
    fc.log.prefix = fs_type.name
    fc.uapi_mutex = mutex("fs_context")
    if purpose == FS_CONTEXT_FOR_MOUNT:
        fc.user_ns = fc.cred.user_ns
    else:
        assert reference is not None
        fc.user_ns = reference.d_sb.s_user_ns
        if purpose == FS_CONTEXT_FOR_RECONFIGURE:
            reference.d_sb.s_active += 1
            fc.root = dget(reference)
    ret = fs_type.init_fs_context(fc)
    if ret < 0:
        put_fs_context(fc)
        return ERR_PTR(ret)
    fc.need_free = True
    return fc             # type: ignore[no-any-return]


@dup(C)
def fs_context_for_mount(fs_type: FileSystemType, sb_flags: int) -> FsContext:
    """``struct fs_context *fs_context_for_mount(struct file_system_type *fs_type, unsigned int sb_flags)``.

    Return: or ERR_PTR().
    """
    return alloc_fs_context(fs_type, None, sb_flags, 0, FS_CONTEXT_FOR_MOUNT)


@dup(C)
def fs_context_for_reconfigure(dentry: Dentry, sb_flags: int, sb_flags_mask: int) -> Any:
    """``struct fs_context *fs_context_for_reconfigure(dentry, sb_flags, sb_flags_mask)``: for a remount.

    Return: or ERR_PTR(-EINVAL, ...).
    """
    if dentry.d_sb.s_flags & SB_NOUSER:
        return ERR_PTR(-EINVAL)
    return alloc_fs_context(dentry.d_sb.s_type, dentry, sb_flags, sb_flags_mask, FS_CONTEXT_FOR_RECONFIGURE)


@dup(C)
def fs_context_for_submount(fs_type: FileSystemType, reference: Dentry) -> Any:
    """``struct fs_context *fs_context_for_submount(struct file_system_type *type, struct dentry *reference)``"""
    return alloc_fs_context(fs_type, reference, 0, 0, FS_CONTEXT_FOR_SUBMOUNT)


@dup(C)
def fc_drop_locked(fc: FsContext) -> None:
    """``void fc_drop_locked(struct fs_context *fc)``: give the superblock up; s_umount is held."""
    assert fc.root is not None
    sb = fc.root.d_sb
    dput(fc.root)
    fc.root = NULL
    deactivate_locked_super(sb)


@dup(C)
def vfs_dup_fs_context(src_fc: FsContext) -> Any:
    """``struct fs_context *vfs_dup_fs_context(struct fs_context *src_fc)``. Return: or ERR_PTR(-EOPNOTSUPP, -ENOMEM, ...)."""
    if src_fc.ops.dup is None:
        return ERR_PTR(-EOPNOTSUPP)
    if kzalloc_obj(FsContext) is None:
        return ERR_PTR(-ENOMEM)
    fc = copy.copy(src_fc)
    fc.uapi_mutex = mutex("fs_context")
    fc.fs_private = fc.s_fs_info = fc.source = fc.security = NULL
    get_filesystem(fc.fs_type)
    get_cred(fc.cred)
    if fc.log.log is not None:
        fc.log.log.usage += 1
    ret = fc.ops.dup(fc, src_fc)
    if ret < 0:
        put_fs_context(fc)
        return ERR_PTR(ret)
    return fc


@dup(C)
def put_fs_context(fc: FsContext) -> None:
    """``void put_fs_context(struct fs_context *fc)``"""
    if fc.root is not None:
        sb = fc.root.d_sb
        dput(fc.root)
        fc.root = NULL
        deactivate_super(sb)
    if fc.need_free and fc.ops is not None and fc.ops.free is not None:
        fc.ops.free(fc)
    put_cred(fc.cred)
    if fc.log.log is not None:
        fc.log.log.usage -= 1
    put_filesystem(fc.fs_type)
    fc.source = NULL
    kfree(fc)


@dup(C)
def vfs_clean_context(fc: FsContext) -> None:
    """``void vfs_clean_context(struct fs_context *fc)``: after a mount, make ready for a remount."""
    if fc.need_free and fc.ops is not None and fc.ops.free is not None:
        fc.ops.free(fc)
    fc.need_free = False
    fc.fs_private = fc.s_fs_info = fc.source = NULL
    fc.sb_flags = 0
    fc.exclusive = False
    fc.purpose = FS_CONTEXT_FOR_RECONFIGURE
    fc.phase = FS_CONTEXT_AWAITING_RECONF


@dup(C)
def finish_clean_context(fc: FsContext) -> int:
    """``int finish_clean_context(struct fs_context *fc)``. Return: 0, or what ->init_fs_context says."""
    if fc.phase != FS_CONTEXT_AWAITING_RECONF:
        return 0
    error = fc.fs_type.init_fs_context(fc)
    if error:
        fc.phase = FS_CONTEXT_FAILED
        return int(error)
    fc.need_free = True
    fc.phase = FS_CONTEXT_RECONF_PARAMS
    return 0
