# SPDX-License-Identifier: GPL-2.0-only
"""The command line: ``param=value`` words and who takes them (include/linux/moduleparam.h, kernel/params.c, lib/cmdline.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOENT, ENOSPC
from kemu.linux.honesty import custom, names, port_of
from kemu.linux.printk import pr_err

_SPACE = " \t\n\v\f\r\xa0"
parse_unknown_fn = Callable[[str, "str | None", str, Any], int]


class kernel_param:
    """``struct kernel_param``: ``set(val)`` returns 0 or -errno; ``level`` is the initcall level at which it is parsed, -1 before all."""

    __slots__ = ("level", "name", "noarg", "set")

    def __init__(self, name: str, set_: Callable[[str | None], int], level: int = -1, noarg: bool = False):
        self.name = name
        self.set = set_
        self.level = level
        self.noarg = noarg


params: list[kernel_param] = []         # __start___param .. __stop___param


@custom("include/linux/moduleparam.h", "core_param", "a decorator of the setter")
def core_param(name: str, *, noarg: bool = False) -> Callable[[Callable[[str | None], int]], Callable[[str | None], int]]:
    """``core_param(name, var, type, perm)``"""
    def deco(fn: Callable[[str | None], int]) -> Callable[[str | None], int]:
        params.append(kernel_param(name, fn, -1, noarg))
        return fn
    return deco


@port_of("kernel/params.c", "parameq")
def parameq(a: str, b: str) -> bool:
    """Dashes and underscores are the same."""
    return a.replace("-", "_") == b.replace("-", "_")


@port_of("kernel/params.c", "parameqn")
def parameqn(a: str, b: str, n: int) -> bool:
    """``bool parameqn(const char *a, const char *b, size_t n)``: equal, - and _ being the same"""
    return len(a) >= n and a[:n].replace("-", "_") == b[:n].replace("-", "_")


@port_of("lib/cmdline.c", "next_arg")
def next_arg(args: str) -> tuple[str, str, str | None]:
    """``char *next_arg(char *args, char **param, char **val)``: what is left, the parameter, and its value or None."""
    equals = 0
    in_quote = quoted = False

    if args[:1] == '"':
        args = args[1:]
        in_quote = quoted = True

    i = 0
    while i < len(args):
        c = args[i]
        if c in _SPACE and not in_quote:
            break
        if equals == 0 and c == "=":
            equals = i
        if c == '"':
            in_quote = not in_quote
        i += 1

    word, rest = args[:i], args[i + 1:]
    last_quote = word[-1:] == '"'
    if not equals:
        param, val = word, None
        if quoted and last_quote:
            param = param[:-1]
    else:
        param, v = word[:equals], word[equals + 1:]
        # Don't include quotes in value.
        if v[:1] == '"':
            v = v[1:]
            if last_quote:
                v = v[:-1]
                last_quote = False
        if quoted and last_quote:
            v = v[:-1]
        val = v
    # Chew up trailing spaces.
    return rest.lstrip(_SPACE), param, val


@port_of("kernel/params.c", "parse_one")
def parse_one(param: str, val: str | None, doing: str, min_level: int, max_level: int, arg: Any, handle_unknown: parse_unknown_fn | None,
              known: list[kernel_param]) -> int:
    # Find parameter
    """``int parse_one(char *param, char *val, const char *doing, const struct kernel_param *params, unsigned num_params, s16
    min_level, s16 max_level, void *arg, parse_unknown_fn handle_unknown)``:
    what the setter or handle_unknown says; -EINVAL: no value; -EPERM: unsafe; -ENOENT: nobody wants it.
    """
    for p in known:
        if parameq(param, p.name):
            if not min_level <= p.level <= max_level:
                return 0
            # No one handled NULL, so do it here.
            if val is None and not p.noarg:
                return -EINVAL
            return p.set(val)

    if handle_unknown is not None:
        return handle_unknown(param, val, doing, arg)
    return -ENOENT


@port_of("kernel/params.c", "parse_args")
def parse_args(doing: str, args: str, known: list[kernel_param], min_level: int, max_level: int, arg: Any,
               unknown: parse_unknown_fn | None) -> Any:
    """``char *parse_args(...)``: what comes after ``--`` (a str), None, or ERR_PTR of the last error."""
    err: Any = None

    # Chew leading spaces
    args = args.lstrip(_SPACE)
    while args:
        args, param, val = next_arg(args)
        # Stop at --
        if val is None and param == "--":
            return err if err is not None else args
        ret = parse_one(param, val, doing, min_level, max_level, arg, unknown, known)
        if ret == 0:
            continue
        if ret == -ENOENT:
            pr_err("%s: Unknown parameter `%s'\n", doing, param)
        elif ret == -ENOSPC:
            pr_err("%s: `%s' too large for parameter `%s'\n", doing, val or "", param)
        else:
            pr_err("%s: `%s' invalid for parameter `%s'\n", doing, val or "", param)
        err = ERR_PTR(ret)
    return err

names("custom", "include/linux/moduleparam.h", "kernel_param", how="the setter is a function of the value")
