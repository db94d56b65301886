# SPDX-License-Identifier: GPL-2.0-only
"""Mount options by a table (fs/fs_parser.c)."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from kemu.linux.errno import ENOPARAM
from kemu.linux.include.fs_context import (
    FsParameter,
    fs_value_is_file,
    fs_value_is_flag,
    fs_value_is_string,
    inval_plog,
    p_log,
    warn_plog,
)
from kemu.linux.include.fs_parser import (
    bool_names,
    constant_table,
    fs_param_can_be_empty,
    fs_param_deprecated,
    fs_param_neg_with_no,
    fs_parameter_spec,
    fs_parse_result,
)
from kemu.linux.lib.kstrtox import kstrtoint, kstrtouint, kstrtoull
from kemu.linux.port.honesty import dup, names
from kemu.linux.types import Ref

C = "fs/fs_parser.c"


@dup(C)
def lookup_constant(tbl: Sequence[constant_table], name: str, not_found: int) -> int:
    """``int lookup_constant(const struct constant_table tbl[], const char *name, int not_found)``"""
    c = _lookup_constant(tbl, name)
    return not_found if c is None else c.value


def _lookup_constant(tbl: Sequence[constant_table], name: str) -> constant_table | None:
    for c in tbl:
        if not c.name:
            return None
        if c.name == name:
            return c
    return None


@dup(C)
def _lookup_key(desc: Sequence[fs_parameter_spec], param: FsParameter, result: fs_parse_result) -> fs_parameter_spec | None:
    """``const struct fs_parameter_spec *fs_lookup_key( const struct fs_parameter_spec *desc, struct fs_parameter *para...``"""
    name = param.key
    want_flag = param.type == fs_value_is_flag
    other = None
    result.negated = False
    for p in desc:
        if not p.name:
            break
        if p.name != name:
            continue
        if (p.type is None) == want_flag:
            return p
        other = p
    if want_flag and name.startswith("no") and len(name) > 2:
        for p in desc:
            if not p.name:
                break
            if p.name == name[2:] and p.flags & fs_param_neg_with_no:
                result.negated = True
                return p
    return other


@dup(C)
def __fs_parse(log: p_log, desc: Sequence[fs_parameter_spec], param: FsParameter, result: fs_parse_result) -> int:
    """``int __fs_parse(struct p_log *log, const struct fs_parameter_spec *desc, struct fs_parameter *param, struct
    fs_parse_result *result)``

    Return: the option's number; -ENOPARAM if there is no such option; -EINVAL for a wrong value, logged.
    """
    result.value = 0
    p = _lookup_key(desc, param, result)
    if p is None:
        return -ENOPARAM
    if p.flags & fs_param_deprecated:
        warn_plog(log, "Deprecated parameter '%s'", param.key)
    if p.type is None:
        if param.type != fs_value_is_flag:
            return inval_plog(log, "Unexpected value for '%s'", param.key)
        result.value = int(not result.negated)
    else:
        ret = p.type(log, p, param, result)
        if ret:
            return ret
    return p.opt


@dup(C)
def _bad_value(log: p_log, param: FsParameter) -> int:
    """``int _bad_value(struct p_log *log, struct fs_parameter *param)``"""
    return inval_plog(log, "Bad value for '%s'", param.key)


def _string(log: p_log, p: fs_parameter_spec, param: FsParameter) -> tuple[str | None, int]:
    """The string to convert, or None and what the type function returns."""
    if param.type != fs_value_is_string or param.string is None:
        return None, _bad_value(log, param)
    if not param.string and p.flags & fs_param_can_be_empty:
        return None, 0
    return param.string, 0


def fs_param_is_bool(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_bool``: "0", "1", "false", "no", "true" or "yes". Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_bool(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct ...``"""
    s, ret = _string(log, p, param)
    if s is None:
        return ret
    b = lookup_constant(bool_names, s, -1)
    if b == -1:
        return _bad_value(log, param)
    result.value = b
    return 0


def _number(convert: Callable[[str, int, Ref], int], log: p_log, p: fs_parameter_spec, param: FsParameter,
            result: fs_parse_result,
            base: int) -> int:
    s, ret = _string(log, p, param)
    if s is None:
        return ret
    value = Ref(0)
    if convert(s, base, value) < 0:
        return _bad_value(log, param)
    result.value = value.v
    return 0


def fs_param_is_u32(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_u32``: a number of 32 bits; its base is in ``p.data``. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_u32(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct f...``"""
    return _number(kstrtouint, log, p, param, result, p.data or 0)


def fs_param_is_s32(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_s32``: a signed number of 32 bits. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_s32(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct f...``"""
    return _number(kstrtoint, log, p, param, result, 0)


def fs_param_is_u64(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_u64``: a number of 64 bits. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_u64(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct f...``"""
    return _number(kstrtoull, log, p, param, result, 0)


def fs_param_is_enum(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_enum``: a name of the table in ``p.data``. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_enum(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct ...``"""
    s, ret = _string(log, p, param)
    if s is None:
        return ret
    c = _lookup_constant(p.data, s)
    if c is None:
        return _bad_value(log, param)
    result.value = c.value
    return 0


def fs_param_is_string(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_string``: any text. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_string(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struc...``"""
    if param.type != fs_value_is_string or (not param.string and not p.flags & fs_param_can_be_empty):
        return _bad_value(log, param)
    return 0


def fs_param_is_fd(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_fd``: the number of an open file. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_fd(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct fs...``"""
    value = Ref(0)
    if param.type == fs_value_is_string:
        s = param.string or ""
        if (not s and p.flags & fs_param_can_be_empty) or not s or kstrtouint(s, 0, value) < 0 or value.v > 0x7FFF_FFFF:
            return _bad_value(log, param)
        result.value = value.v
        return 0
    if param.type == fs_value_is_file and 0 <= param.dirfd <= 0x7FFF_FFFF:
        result.value = param.dirfd
        return 0
    return _bad_value(log, param)


def fs_param_is_file_or_string(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_file_or_string``: a path, or the number of an open file. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_file_or_string(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *para...``"""
    if param.type == fs_value_is_string:
        return fs_param_is_string(log, p, param, result)
    if param.type == fs_value_is_file and 0 <= param.dirfd <= 0x7FFF_FFFF:
        result.value = param.dirfd
        return 0
    return _bad_value(log, param)


def _id(what: str, log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    if fs_param_is_u32(log, p, param, result) != 0:
        return _bad_value(log, param)
    if result.value == 0xFFFF_FFFF:
        return inval_plog(log, f"Invalid {what} '%s'", param.string)
    return 0


def fs_param_is_uid(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_uid``: a user id. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_uid(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct f...``"""
    return _id("uid", log, p, param, result)


def fs_param_is_gid(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_gid``: a group id. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_gid(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct f...``"""
    return _id("gid", log, p, param, result)


def fs_param_is_blockdev(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_blockdev``: nothing is checked."""
    """``int fs_param_is_blockdev(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, str...``"""
    return 0


names("dup", C, "fs_param_is_bool", "fs_param_is_u32", "fs_param_is_s32", "fs_param_is_u64", "fs_param_is_enum",
      "fs_param_is_string", "fs_param_is_fd", "fs_param_is_file_or_string", "fs_param_is_uid", "fs_param_is_gid",
      "fs_param_is_blockdev")
