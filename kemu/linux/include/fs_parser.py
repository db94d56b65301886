# SPDX-License-Identifier: GPL-2.0-only
"""Tables of mount options: struct fs_parameter_spec and the fsparam_*() macros (include/linux/fs_parser.h)."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kemu.linux.include.fs_context import FsContext, FsParameter, p_log
from kemu.linux.port.honesty import custom, dup, names

P = "include/linux/fs_parser.h"

fs_param_neg_with_no, fs_param_can_be_empty, fs_param_deprecated = 0x0002, 0x0004, 0x0008


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


bool_names = [constant_table("0", 0), constant_table("1", 1), constant_table("false", 0), constant_table("no", 0),
              constant_table("true", 1),
              constant_table("yes", 1)]


@dup(P)
def fs_parse(fc: FsContext, desc: Sequence[fs_parameter_spec], param: FsParameter, result: fs_parse_result) -> int:
    """``int fs_parse(struct fs_context *fc, const struct fs_parameter_spec *desc, param, result)``: see __fs_parse()."""
    from kemu.linux.fs.fs_parser import __fs_parse  # noqa: PLC0415  (up into fs/fs_parser.c)

    return __fs_parse(fc.log, desc, param, result)


def fsparam_flag(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_flag()``: a name without value."""
    """``fsparam_flag(NAME, OPT)``"""
    return fs_parameter_spec(name, None, opt)


def fsparam_flag_no(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_flag_no()``: a name without value, or the same with "no" before it."""
    """``fsparam_flag_no(NAME, OPT)``"""
    return fs_parameter_spec(name, None, opt, fs_param_neg_with_no)


def fsparam_u32oct(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_u32oct()``: an octal number."""
    from kemu.linux.fs.fs_parser import fs_param_is_u32  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_u32oct(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_u32, opt, 0, 8)


def fsparam_enum(name: str, opt: int, array: Sequence[constant_table]) -> fs_parameter_spec:
    """``fsparam_enum()``: a name of a table."""
    from kemu.linux.fs.fs_parser import fs_param_is_enum  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_enum(NAME, OPT, array)``"""
    return fs_parameter_spec(name, fs_param_is_enum, opt, 0, array)


def fsparam_string(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_string()``: any text but an empty one."""
    from kemu.linux.fs.fs_parser import fs_param_is_string  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_string(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_string, opt)


def fsparam_string_empty(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_string_empty()``: any text."""
    from kemu.linux.fs.fs_parser import fs_param_is_string  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_string_empty(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_string, opt, fs_param_can_be_empty)


def fsparam_file_or_string(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_file_or_string()``: a path or an open file."""
    from kemu.linux.fs.fs_parser import fs_param_is_file_or_string  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_file_or_string(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_file_or_string, opt)


def fsparam_uid(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_uid()``: a user id."""
    from kemu.linux.fs.fs_parser import fs_param_is_uid  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_uid(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_uid, opt)


def fsparam_gid(name: str, opt: int) -> fs_parameter_spec:
    """``fsparam_gid()``: a group id."""
    from kemu.linux.fs.fs_parser import fs_param_is_gid  # noqa: PLC0415  (up into fs/fs_parser.c)

    """``fsparam_gid(NAME, OPT)``"""
    return fs_parameter_spec(name, fs_param_is_gid, opt)


names("dup", P, "fsparam_flag", "fsparam_flag_no", "fsparam_u32oct", "fsparam_enum", "fsparam_string", "fsparam_string_empty",
      "fsparam_file_or_string", "fsparam_uid", "fsparam_gid")
