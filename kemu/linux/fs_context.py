# SPDX-License-Identifier: GPL-2.0-only
"""The configuration of a mount before there is one (include/linux/fs_context.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.fs.fs_context import (  # noqa: F401
    alloc_fs_context,
    common_clear_sb_flag,
    common_set_sb_flag,
    fc_drop_locked,
    finish_clean_context,
    fs_context_for_mount,
    fs_context_for_reconfigure,
    fs_context_for_submount,
    generic_parse_monolithic,
    logfc,
    parse_monolithic_mount_data,
    put_fs_context,
    vfs_clean_context,
    vfs_dup_fs_context,
    vfs_parse_comma_sep,
    vfs_parse_fs_param,
    vfs_parse_fs_param_source,
    vfs_parse_monolithic_sep,
    vfs_parse_sb_flag,
)
from kemu.linux.fs.super import (  # noqa: F401
    get_tree_bdev,
    get_tree_bdev_flags,
    get_tree_keyed,
    get_tree_nodev,
    get_tree_single,
    setup_bdev_super,
    vfs_get_tree,
)
from kemu.linux.include.fs_context import (  # noqa: F401
    FS_CONTEXT_AWAITING_MOUNT,
    FS_CONTEXT_AWAITING_RECONF,
    FS_CONTEXT_CREATE_PARAMS,
    FS_CONTEXT_CREATING,
    FS_CONTEXT_FAILED,
    FS_CONTEXT_FOR_MOUNT,
    FS_CONTEXT_FOR_RECONFIGURE,
    FS_CONTEXT_FOR_SUBMOUNT,
    FS_CONTEXT_RECONF_PARAMS,
    FS_CONTEXT_RECONFIGURING,
    GET_TREE_BDEV_QUIET_LOOKUP,
    FsContext,
    FsParameter,
    errorf,
    errorfc,
    fc_log,
    fs_context_operations,
    fs_value_is_blob,
    fs_value_is_file,
    fs_value_is_filename,
    fs_value_is_flag,
    fs_value_is_string,
    fs_value_is_undefined,
    infof,
    infofc,
    inval_plog,
    invalf,
    invalfc,
    p_log,
    vfs_parse_fs_string,
    warn_plog,
    warnf,
    warnfc,
)
from kemu.linux.port.honesty import names


def errorfcp(fc: FsContext, prefix: str, fmt: str, *args: Any) -> None:
    """``errorfcp(fc, prefix, fmt, ...)``: with a prefix of its own."""
    logfc(fc.log.log, prefix, "e", fmt, *args)


names("dup", "include/linux/fs_context.h", "errorfcp")
