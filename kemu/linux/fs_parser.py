# SPDX-License-Identifier: GPL-2.0-only
"""Mount options by table (include/linux/fs_parser.h, fs/fs_parser.c)."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kemu.linux.errno import ENOPARAM
from kemu.linux.honesty import custom, dup, names
from kemu.linux.kstrtox import kstrtoint, kstrtouint, kstrtoull
from kemu.linux.types import Ref
from kemu.linux.vfs.fs_context import (
    FsContext,
    FsParameter,
    fs_value_is_file,
    fs_value_is_flag,
    fs_value_is_string,
    inval_plog,
    p_log,
    warn_plog,
)

fs_param_neg_with_no, fs_param_can_be_empty, fs_param_deprecated = 0x0002, 0x0004, 0x0008
P = "include/linux/fs_parser.h"


@dup(P)
class constant_table:
    """``struct constant_table``: a name and its value; tables are sequences of these (a terminating empty one is allowed)."""

    __slots__ = ("name", "value")

    def __init__(self, name: str | None = None, value: int = 0):
        self.name = name
        self.value = value


@custom(P, "struct fs_parse_result", "the union's members are views of one value")
class fs_parse_result:
    """``struct fs_parse_result``"""

    __slots__ = ("negated", "value")

    def __init__(self) -> None:
        self.negated = False
        self.value = 0

    @property
    def boolean(self) -> bool:
        return bool(self.value & 0xFF)

    @property
    def int_32(self) -> int:
        return ((self.value + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000

    @property
    def uint_32(self) -> int:
        return self.value & 0xFFFF_FFFF

    @property
    def uint_64(self) -> int:
        return self.value & 0xFFFF_FFFF_FFFF_FFFF

    @property
    def uid(self) -> int:
        return self.value & 0xFFFF_FFFF

    gid = uid


ParamType = Callable[[p_log, "fs_parameter_spec", FsParameter, fs_parse_result], int]


@dup(P)
class fs_parameter_spec:
    """``struct fs_parameter_spec``"""

    __slots__ = ("data", "flags", "name", "opt", "type")

    def __init__(self, name: str | None = None, type: ParamType | None = None, opt: int = 0, flags: int = 0, data: Any = None):
        self.name = name
        self.type = type
        self.opt = opt
        self.flags = flags
        self.data = data


@dup("fs/fs_parser.c")
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


bool_names = [constant_table("0", 0), constant_table("1", 1), constant_table("false", 0), constant_table("no", 0), constant_table("true", 1),
              constant_table("yes", 1)]


@dup("fs/fs_parser.c")
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


@dup("fs/fs_parser.c")
def __fs_parse(log: p_log, desc: Sequence[fs_parameter_spec], param: FsParameter, result: fs_parse_result) -> int:
    """``int __fs_parse(struct p_log *log, const struct fs_parameter_spec *desc, struct fs_parameter *param, struct fs_parse_result *result)``

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


@dup(P)
def fs_parse(fc: FsContext, desc: Sequence[fs_parameter_spec], param: FsParameter, result: fs_parse_result) -> int:
    """``int fs_parse(struct fs_context *fc, const struct fs_parameter_spec *desc, param, result)``: see __fs_parse()."""
    return __fs_parse(fc.log, desc, param, result)


@dup("fs/fs_parser.c")
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


def _number(convert: Callable[[str, int, Ref], int], log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result,
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
    if param.type != fs_value_is_string or not param.string and not p.flags & fs_param_can_be_empty:
        return _bad_value(log, param)
    return 0


def fs_param_is_fd(log: p_log, p: fs_parameter_spec, param: FsParameter, result: fs_parse_result) -> int:
    """``fs_param_is_fd``: the number of an open file. Return: 0, or -EINVAL, logged."""
    """``int fs_param_is_fd(struct p_log *log, const struct fs_parameter_spec *p, struct fs_parameter *param, struct fs...``"""
    value = Ref(0)
    if param.type == fs_value_is_string:
        s = param.string or ""
        if not s and p.flags & fs_param_can_be_empty or not s or kstrtouint(s, 0, value) < 0 or value.v > 0x7FFF_FFFF:
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


names("dup", "fs/fs_parser.c", "fs_param_is_bool", "fs_param_is_u32", "fs_param_is_s32", "fs_param_is_u64", "fs_param_is_enum", "fs_param_is_string",
      "fs_param_is_fd", "fs_param_is_file_or_string", "fs_param_is_uid", "fs_param_is_gid", "fs_param_is_blockdev")


def fsparam_flag(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_flag()``: a name without value."""
    """``fsparam_flag(NAME, OPT)``"""
    return fs_parameter_spec(name, None, opt)


def fsparam_flag_no(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_flag_no()``: a name without value, or the same with "no" before it."""
    """``fsparam_flag_no(NAME, OPT)``"""
    return fs_parameter_spec(name, None, opt, fs_param_neg_with_no)


def fsparam_bool(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_bool()``: a truth value."""
    """``fsparam_bool(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_bool, opt)


def fsparam_u32(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_u32()``: a number."""
    """``fsparam_u32(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_u32, opt)


def fsparam_u32oct(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_u32oct()``: an octal number."""
    """``fsparam_u32oct(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_u32, opt, 0, 8)


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


def fsparam_enum(name: str, opt: int, array: Sequence[constant_table]) -> fs_parameter_spec:
    """``fsparam_enum()``: a name of a table."""
    """``fsparam_enum(NAME, OPT, array)``"""
    return fs_parameter_spec(name, fs_param_is_enum, opt, 0, array)


def fsparam_string(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_string()``: any text but an empty one."""
    """``fsparam_string(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_string, opt)


def fsparam_string_empty(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_string_empty()``: any text."""
    """``fsparam_string_empty(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_string, opt, fs_param_can_be_empty)


def fsparam_fd(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_fd()``: an open file."""
    """``fsparam_fd(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_fd, opt)


def fsparam_file_or_string(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_file_or_string()``: a path or an open file."""
    """``fsparam_file_or_string(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_file_or_string, opt)


def fsparam_uid(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_uid()``: a user id."""
    """``fsparam_uid(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_uid, opt)


def fsparam_gid(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_gid()``: a group id."""
    """``fsparam_gid(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_gid, opt)


names("dup", P, "fsparam_flag", "fsparam_flag_no", "fsparam_bool", "fsparam_u32", "fsparam_u32oct", "fsparam_u32hex", "fsparam_s32", "fsparam_u64",
      "fsparam_enum", "fsparam_string", "fsparam_string_empty", "fsparam_fd", "fsparam_file_or_string", "fsparam_uid", "fsparam_gid")
