# SPDX-License-Identifier: GPL-2.0-only
"""The command line: ``param=value`` words and who takes them (include/linux/moduleparam.h, kernel/params.c, lib/cmdline.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOENT, ENOSPC, ERANGE
from kemu.linux.honesty import custom, dup, names, port_of
from kemu.linux.kstrtox import kstrtobool, kstrtoint, kstrtoll, kstrtouint, kstrtoull
from kemu.linux.printk import pr_err
from kemu.linux.string_helpers import simple_strtoull
from kemu.linux.types import FieldPtr, Ref, s32
from kemu.machine import parameters
from kemu.machine.current import NULL, this

_SPACE = " \t\n\v\f\r\xa0\udca0"
parse_unknown_fn = Callable[[str, str, str, Any], int]


class kernel_param:
    """``struct kernel_param``: ``set(val)`` returns 0 or -errno; ``level`` is the initcall level at which it is parsed, -1 before all."""

    __slots__ = ("level", "name", "noarg", "set")

    def __init__(self, name: str, set_: Callable[[str], int], level: int = -1, noarg: bool = False):
        self.name = name
        self.set = set_
        self.level = level
        self.noarg = noarg


params: list[kernel_param] = []         # __start___param .. __stop___param


@custom("include/linux/moduleparam.h", "core_param", "of the types, bool only")
def core_param(name: str, var: FieldPtr, type: str) -> None:
    """``core_param(name, var, type, perm)``"""
    assert type == "bool"
    params.append(kernel_param(name, lambda val: param_set_bool(val, var), -1, noarg=True))


@dup("kernel/params.c", "param_set_bool")
def param_set_bool(val: str, arg: FieldPtr) -> int:
    """``int param_set_bool(const char *val, const struct kernel_param *kp)``: ``arg`` is kp->arg. Return: 0, -EINVAL."""
    # No equals means "set"...
    if not val:
        val = "1"

    # One of =[yYnN01]
    return kstrtobool(val, arg)


@port_of("kernel/params.c", "parameq")
def parameq(a: str, b: str) -> bool:
    """Dashes and underscores are the same."""
    return a.replace("-", "_") == b.replace("-", "_")


@port_of("kernel/params.c", "parameqn")
def parameqn(a: str, b: str, n: int) -> bool:
    """``bool parameqn(const char *a, const char *b, size_t n)``: equal, - and _ being the same"""
    return len(a) >= n and a[:n].replace("-", "_") == b[:n].replace("-", "_")


@custom("lib/cmdline.c", "get_option", "the string is not moved on")
def get_option(str: str, pint: Ref) -> int:
    """``int get_option(char **str, int *pint)``: 0 no number, 1 a number, 2 and a comma behind it, 3 a hyphen behind it."""
    if not str:
        return 0
    cur = str[1:] if str[0] == "-" else str
    value, rest = simple_strtoull(cur, 0)
    pint.v = s32(-value if str[0] == "-" else value)
    if rest == cur:
        return 0
    return {",": 2, "-": 3}.get(rest[:1], 1)


@dup("lib/cmdline.c", "next_arg")
def next_arg(args: str) -> tuple[str, str, str]:
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
        param, val = word, NULL
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


_NUMBERS = {"byte": (kstrtouint, 0, 255), "short": (kstrtoint, -32768, 32767), "ushort": (kstrtouint, 0, 65535), "int": (kstrtoint, -1 << 31, (1 << 31) - 1),
            "uint": (kstrtouint, 0, (1 << 32) - 1), "hexint": (kstrtouint, 0, (1 << 32) - 1), "long": (kstrtoll, -1 << 63, (1 << 63) - 1),
            "ulong": (kstrtoull, 0, (1 << 64) - 1), "ullong": (kstrtoull, 0, (1 << 64) - 1)}


@custom("kernel/params.c", "param_set_TYPE", "checks the value and sets nothing; types that are not of params.c take all")
def param_check(kind: str, val: str) -> int:
    """What ``param_ops_KIND.set`` says to a value: 0, -EINVAL, -ERANGE."""
    out = Ref(0)
    if kind in ("bool", "bool_enable_only", "invbool", "bint"):
        return kstrtobool("1" if val is None else val, out)
    if kind in _NUMBERS:
        read, low, high = _NUMBERS[kind]
        return read(val or "", 0, out) or (0 if low <= out.v <= high else -ERANGE)
    return 0


@custom("kernel/params.c", "parse_one", "parameters belong to no module: kernel_param_lock() is not taken")
def parse_one(param: str, val: str, doing: str, min_level: int, max_level: int, arg: Any, handle_unknown: parse_unknown_fn | None,
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

    # ... among those that are not ported, too
    if known is params:
        other = parameters.of(this.machine).params.get(parameters.canonical(param))
        if other is not None:
            level, kind = other
            if not min_level <= level <= max_level:
                return 0
            return -EINVAL if val is None and kind[-1] != "*" else param_check(kind.rstrip("*"), val)

    if handle_unknown is not None:
        return handle_unknown(param, val, doing, arg)
    return -ENOENT


@custom("init/main.c", "obsolete_checksetup", "the part of the handlers that are not ported: they take what is theirs and do nothing")
def parse_takes(line: str, ported: set[str]) -> bool:
    """Whether a ``__setup()`` or ``early_param()`` of the kernel that is not among ``ported`` takes ``line``."""
    return parameters.takes_setup(parameters.of(this.machine), line, ported)


sysctl_aliases = ("hardlockup_all_cpu_backtrace", "hung_task_panic", "numa_zonelist_order", "softlockup_all_cpu_backtrace")


@dup("fs/proc/proc_sysctl.c", "sysctl_is_alias")
def sysctl_is_alias(param: str) -> bool:
    """``bool sysctl_is_alias(char *param)``: false without CONFIG_PROC_SYSCTL"""
    return bool(this.machine.config.get("CONFIG_PROC_SYSCTL")) and param in sysctl_aliases


@dup("kernel/params.c", "parse_args")
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

names("dup", "fs/proc/proc_sysctl.c", "sysctl_aliases")
names("custom", "include/linux/moduleparam.h", "kernel_param", how="the setter is a function of the value")
