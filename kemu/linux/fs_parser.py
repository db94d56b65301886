# SPDX-License-Identifier: GPL-2.0-only
"""Mount options by table (include/linux/fs_parser.h, fs/fs_parser.c)."""
from __future__ import annotations

from kemu.linux.fs.fs_parser import (  # noqa: F401
    fs_param_is_blockdev,
    fs_param_is_bool,
    fs_param_is_enum,
    fs_param_is_fd,
    fs_param_is_file_or_string,
    fs_param_is_gid,
    fs_param_is_s32,
    fs_param_is_string,
    fs_param_is_u32,
    fs_param_is_u64,
    fs_param_is_uid,
    lookup_constant,
)
from kemu.linux.include.fs_parser import (  # noqa: F401
    ParamType,
    bool_names,
    constant_table,
    fs_param_can_be_empty,
    fs_param_deprecated,
    fs_param_neg_with_no,
    fs_parameter_spec,
    fs_parse,
    fs_parse_result,
    fsparam_enum,
    fsparam_file_or_string,
    fsparam_flag,
    fsparam_flag_no,
    fsparam_gid,
    fsparam_string,
    fsparam_string_empty,
    fsparam_u32oct,
    fsparam_uid,
)
from kemu.linux.port.honesty import names


def fsparam_bool(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_bool()``: a truth value."""
    """``fsparam_bool(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_bool, opt)


def fsparam_u32(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_u32()``: a number."""
    """``fsparam_u32(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_u32, opt)


def fsparam_u32hex(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_u32hex()``: a hexadecimal number."""
    """``fsparam_u32hex(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_u32, opt, 0, 16)


def fsparam_s32(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_s32()``: a signed number."""
    """``fsparam_s32(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_s32, opt)


def fsparam_u64(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_u64()``: a number of 64 bits."""
    """``fsparam_u64(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_u64, opt)


def fsparam_fd(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_fd()``: an open file."""
    """``fsparam_fd(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_fd, opt)


names("dup", "include/linux/fs_parser.h", "fsparam_bool", "fsparam_u32", "fsparam_u32hex", "fsparam_s32", "fsparam_u64",
      "fsparam_fd")
