# SPDX-License-Identifier: GPL-2.0-only
"""The command line: ``param=value`` words and who takes them (kernel/params.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOENT, ENOSPC, ERANGE
from kemu.linux.include.moduleparam import kernel_param, params, parse_unknown_fn
from kemu.linux.lib.cmdline import _SPACE, next_arg
from kemu.linux.lib.kstrtox import kstrtobool, kstrtoint, kstrtoll, kstrtouint, kstrtoull
from kemu.linux.port.honesty import custom, dup, port_of
from kemu.linux.printk import pr_err
from kemu.linux.types import FieldPtr, Ref
from kemu.machine import parameters
from kemu.machine.current import this

C = "kernel/params.c"

_NUMBERS = {"byte": (kstrtouint, 0, 255), "short": (kstrtoint, -32768, 32767), "ushort": (kstrtouint, 0, 65535),
            "int": (kstrtoint, -1 << 31, (1 << 31) - 1),
            "uint": (kstrtouint, 0, (1 << 32) - 1), "hexint": (kstrtouint, 0, (1 << 32) - 1),
            "long": (kstrtoll, -1 << 63, (1 << 63) - 1),
            "ulong": (kstrtoull, 0, (1 << 64) - 1), "ullong": (kstrtoull, 0, (1 << 64) - 1)}


@dup(C, "param_set_bool")
def param_set_bool(val: str, arg: FieldPtr) -> int:
    """``int param_set_bool(const char *val, const struct kernel_param *kp)``: ``arg`` is kp->arg. Return: 0, -EINVAL."""
    # No equals means "set"...
    if not val:
        val = "1"

    # One of =[yYnN01]
    return kstrtobool(val, arg)


@port_of(C, "parameq")
def parameq(a: str, b: str) -> bool:
    """Dashes and underscores are the same."""
    return a.replace("-", "_") == b.replace("-", "_")


@port_of(C, "parameqn")
def parameqn(a: str, b: str, n: int) -> bool:
    """``bool parameqn(const char *a, const char *b, size_t n)``: equal, - and _ being the same"""
    return len(a) >= n and a[:n].replace("-", "_") == b[:n].replace("-", "_")


@custom(C, "param_set_TYPE", "checks the value and sets nothing; types that are not of params.c take all")
def param_check(kind: str, val: str) -> int:
    """What ``param_ops_KIND.set`` says to a value: 0, -EINVAL, -ERANGE."""
    out = Ref(0)
    if kind in ("bool", "bool_enable_only", "invbool", "bint"):
        return kstrtobool("1" if val is None else val, out)
    if kind in _NUMBERS:
        read, low, high = _NUMBERS[kind]
        return read(val or "", 0, out) or (0 if low <= out.v <= high else -ERANGE)
    return 0


@custom(C, "parse_one", "parameters belong to no module: kernel_param_lock() is not taken")
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


@dup(C, "parse_args")
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
